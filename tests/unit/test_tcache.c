// SPDX-License-Identifier: MIT
#include "tcache/tcache.h"

#include "core/alloc.h"
#include "core/central.h"
#include "core/init.h"
#include "core/options.h"
#include "core/survey.h"
#include "limited.h"
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIZE = 32,
    CLS = 2,
    LIMIT = BATCH_SLOTS
}; // 32-byte objects, of which a batch holds as many as it has slots

static struct tcache_counts now(void)
{
    struct tcache_counts counts;
    tcache_counts_shared(&counts);
    return counts;
}

static void allocate(void **objects, size_t n, size_t size)
{
    for (size_t i = 0; i < n; i++) {
        cr_assert_not_null(objects[i] = alloc_fast(size));
        memset(objects[i], (int)i, size);
    }
}

static void release(void **objects, size_t n)
{
    for (size_t i = 0; i < n; i++)
        alloc_free_fast(objects[i]);
}

static void in_thread(void *(*body)(void *arg), void *arg)
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, body, arg), 0);
    pthread_join(thread, NULL);
}

static uint64_t cached_bytes(void)
{
    struct tcache_counts counts = now();
    uint64_t bytes = 0;
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++)
        bytes += counts.objects[cls] * size_class_size(cls);
    return bytes;
}

Test(tcache, class_of_the_test_size) { cr_assert_eq(size_class_of(SIZE), (unsigned)CLS); }

Test(tcache, starts_slowly)
{
    void *objects[200];
    size_t before = 0;
    for (size_t i = 0; i < 200; i++) {
        objects[i] = alloc_fast(SIZE);
        size_t capacity = tcache_self->capacity[CLS];
        if (i == 0)
            cr_assert_eq(capacity, 0u);
        if (before == 0)
            cr_assert_leq(capacity, 4u);
        if (before != 0 && capacity != before)
            cr_assert_leq(capacity, 2 * before);
        cr_assert_leq(now().objects[CLS], capacity);
        before = capacity;
    }
    cr_assert_eq(before, (size_t)LIMIT);
    cr_assert(tcache_validate());
    release(objects, 200);
    cr_assert(tcache_validate());
}

Test(tcache, keeps_nothing_of_what_was_used_once)
{
    alloc_free_fast(alloc_fast(SIZE));
    cr_assert_eq(now().objects[CLS], 0);
    cr_assert_eq(tcache_self->bins[CLS].empty, NULL);
    cr_assert(tcache_validate());
}

// Eight sizes for each doubling: of the largest classes three share one.
Test(tcache, keeps_nothing_of_many_sizes_that_were_used_once)
{
    for (size_t power = 1024; power < SIZE_CLASS_MAX; power *= 2)
        for (size_t size = power + power / 8; size <= 2 * power; size += power / 8)
            alloc_free_fast(alloc_fast(size));
    struct tcache_counts counts = now();
    for (unsigned cls = size_class_of(1025); cls < SIZE_CLASS_COUNT; cls++)
        cr_assert_eq(counts.objects[cls], 0, "class %u", cls);
    cr_assert_eq(counts.refills[SIZE_CLASS_COUNT - 1], 3);
    cr_assert(tcache_validate());
}

// The thread may go idle at any moment, and nobody can take from it what it has cached.
Test(tcache, keeps_little_of_a_class_that_is_being_given_up)
{
    enum { MANY = 200000 };
    static void *objects[MANY];
    for (size_t i = 0; i < MANY; i++)
        objects[i] = alloc_fast(SIZE);
    cr_assert_geq(tcache_self->capacity[CLS], LIMIT);
    release(objects, MANY);
    cr_assert_leq(now().objects[CLS], 12);
    cr_assert(tcache_validate());
    for (size_t i = 0; i < 1000; i++)
        objects[i] = alloc_fast(SIZE);
    cr_assert_eq(tcache_self->capacity[CLS], LIMIT); // it grows as before
    release(objects, 1000);
    cr_assert(tcache_validate());
}

// As long as many objects are left, those that wait hold little beside them: larger batches go back at less
// cost for each.
Test(tcache, a_class_that_is_given_up_goes_in_batches_by_what_is_left)
{
    enum { MANY = 200000, REST = 50000, FEW = 1000, PART = 64, TOTAL = 128 };
    static void *objects[MANY];
    for (size_t i = 0; i < MANY; i++)
        objects[i] = alloc_fast(SIZE);
    release(objects, MANY - REST);
    cr_assert_gt(tcache_self->capacity[CLS], LIMIT / 4);
    cr_assert_leq(tcache_self->capacity[CLS], TOTAL);
    release(objects + MANY - REST, REST - FEW);
    cr_assert_leq(tcache_self->capacity[CLS], 4 * FEW / PART);
    cr_assert(tcache_validate());
    release(objects + MANY - FEW, FEW);
    cr_assert_eq(tcache_self->capacity[CLS], 0);
    cr_assert(survey_validate());
}

// The classes in use share what their bins keep.
Test(tcache, classes_that_are_given_up_together_keep_less_each)
{
    enum { MANY = 200000, HALF = MANY / 2, SOME = 20 * LIMIT, OTHERS = 16, TOTAL = 128 };
    static void *objects[MANY], *others[OTHERS][4 * LIMIT];
    for (size_t i = 0; i < MANY; i++)
        objects[i] = alloc_fast(SIZE);
    release(objects, HALF);
    cr_assert_gt(tcache_self->capacity[CLS], 2 * TOTAL / OTHERS);
    for (unsigned i = 0; i < OTHERS; i++)
        allocate(others[i], 4 * LIMIT, size_class_size(CLS + 1 + i));
    release(objects + HALF, SOME);
    cr_assert_leq(tcache_self->capacity[CLS], 2 * TOTAL / OTHERS);
    cr_assert(tcache_validate());
    release(objects + HALF + SOME, HALF - SOME);
    for (unsigned i = 0; i < OTHERS; i++)
        release(others[i], 4 * LIMIT);
    cr_assert(survey_validate());
}

Test(tcache, a_freed_object_is_the_next_one)
{
    void *p = alloc_fast(SIZE);
    alloc_free_fast(p);
    cr_assert_eq(alloc_fast(SIZE), p);
}

// At the edge between two batches neither the pool nor the spans are asked.
Test(tcache, hovering_at_the_edge_of_a_batch_stays_inside)
{
    static void *objects[4 * LIMIT];
    allocate(objects, 4 * LIMIT, SIZE);
    release(objects, LIMIT + 5);
    struct central_counts before = central_counts(CLS);
    int64_t spans_free = span_free(span_of_page(page_of(objects[0])));
    for (int round = 0; round < 100; round++) {
        allocate(objects, 10, SIZE);
        release(objects, 10);
    }
    struct central_counts after = central_counts(CLS);
    cr_assert_eq(after.batches_in, before.batches_in);
    cr_assert_eq(after.batches_out, before.batches_out);
    cr_assert_eq(span_free(span_of_page(page_of(objects[0]))), spans_free);
    cr_assert(tcache_validate());
}

Test(tcache, full_batches_go_to_the_central_pool)
{
    static void *objects[16 * LIMIT];
    allocate(objects, 16 * LIMIT, SIZE);
    release(objects, 16 * LIMIT);
    cr_assert_leq(now().objects[CLS], 3u * LIMIT);
    cr_assert_gt(central_counts(CLS).batches_in, 10u);
    allocate(objects, 16 * LIMIT, SIZE);
    cr_assert_gt(central_counts(CLS).batches_out, 10u);
    cr_assert(survey_validate());
}

// --- Waves, idle classes, the end of a thread.

// What rises and falls by more than two batches of the usual size stays here, in larger ones.
Test(tcache, a_wave_makes_batches_grow)
{
    enum { WAVE = 100, KIB = 1024 };
    static void *objects[WAVE];
    unsigned cls = size_class_of(KIB);
    size_t usual = load_relaxed(&options.tcache_batch) / KIB;
    for (int round = 0; round < 4; round++) {
        allocate(objects, WAVE, KIB);
        release(objects, WAVE);
    }
    cr_assert_gt(tcache_self->capacity[cls], usual);
    struct central_counts before = central_counts(cls);
    allocate(objects, WAVE, KIB);
    release(objects, WAVE);
    cr_assert_eq(central_counts(cls).batches_in, before.batches_in);
    cr_assert_eq(central_counts(cls).batches_out, before.batches_out);
    cr_assert(tcache_validate());
}

// A thread whose sizes move on keeps nothing of the old ones, neither in its cache nor in the pool.
Test(tcache, a_class_without_use_gives_up_what_it_holds)
{
    static void *objects[20 * LIMIT], *others[4 * LIMIT];
    allocate(objects, 20 * LIMIT, SIZE);
    release(objects, 20 * LIMIT);
    cr_assert_gt(now().objects[CLS], 0u);
    cr_assert_gt(central_counts(CLS).batch_objects, 0u);
    for (int round = 0; now().objects[CLS] != 0 || central_counts(CLS).batch_objects != 0; round++) {
        cr_assert_lt(round, 10000);
        allocate(others, 4 * LIMIT, 2 * SIZE);
        release(others, 4 * LIMIT);
    }
    cr_assert_eq(tcache_self->capacity[CLS], 0);
    cr_assert(survey_validate());
}

// Other sizes make time pass for the thread, while the class stays in use.
Test(tcache, a_wave_that_does_not_come_again_ebbs)
{
    enum { WAVE = 100, KIB = 1024 };
    static void *objects[WAVE], *others[4 * LIMIT];
    unsigned kib = size_class_of(KIB);
    for (int round = 0; round < 10; round++) {
        allocate(objects, WAVE, KIB);
        release(objects, WAVE);
    }
    cr_assert_gt(tcache_self->capacity[kib], sealed.capacity_limit[kib]);
    for (int round = 0; tcache_self->capacity[kib] > sealed.capacity_limit[kib]; round++) {
        cr_assert_lt(round, 10000);
        allocate(others, 4 * LIMIT, SIZE);
        release(others, 4 * LIMIT);
        tcache_self->recent |= UINT64_C(1) << kib;
    }
    cr_assert_eq(now().objects[kib], 0u);
    cr_assert(survey_validate());
}

static void *free_a_batch(void *arg)
{
    static void *objects[LIMIT];
    allocate(objects, LIMIT, SIZE);
    release(objects, LIMIT);
    if (arg == NULL)
        cr_assert_eq(central_counts(CLS).batches_in, 0u); // the cache has room for them
    return NULL;
}

Test(tcache, the_next_thread_finds_the_batches_of_one_that_ended)
{
    in_thread(free_a_batch, NULL);
    cr_assert_gt(central_counts(CLS).batch_objects, (uint64_t)LIMIT / 2);
    uint64_t spans_made = central_counts(CLS).spans_made;
    in_thread(free_a_batch, &spans_made);
    cr_assert_eq(central_counts(CLS).spans_made, spans_made);
    cr_assert_gt(central_counts(CLS).batches_out, 0u);
    cr_assert(survey_validate());
}

static void *free_one(void *cached)
{
    void *object;
    allocate(&object, 1, SIZE);
    release(&object, 1);
    *(uint64_t *)cached = now().objects[CLS];
    return NULL;
}

Test(tcache, a_thread_keeps_at_once_what_the_one_before_it_used)
{
    uint64_t cached;
    in_thread(free_one, &cached);
    cr_assert_eq(cached, 0u); // of a class that a thread may use once only
    in_thread(free_a_batch, NULL);
    in_thread(free_one, &cached);
    cr_assert_gt(cached, 0u);
}

// --- The common bound.

static void use_all_sizes(void)
{
    static void *objects[SIZE_CLASS_COUNT][80];
    for (int round = 0; round < 4; round++) {
        for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++)
            allocate(objects[cls], 80, size_class_size(cls));
        for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++)
            release(objects[cls], 80);
    }
}

static void *use_and_measure(void *bytes)
{
    use_all_sizes();
    *(uint64_t *)bytes = cached_bytes();
    cr_assert(tcache_validate());
    return NULL;
}

Test(tcache, the_total_holds_over_all_threads)
{
    uint64_t bytes;
    setenv("TARN_TCACHE_TOTAL", "96K", 1);
    use_all_sizes();
    cr_assert_leq(cached_bytes(), 96u << 10);
    cr_assert_leq(now().room, (uint64_t)96 << 10);
    for (int i = 0; i < 3; i++) {
        in_thread(use_and_measure, &bytes);
        cr_assert_leq(bytes, 96u << 10);
    }
    cr_assert(survey_validate());
}

Test(tcache, a_generous_total_is_used)
{
    use_all_sizes();
    cr_assert_gt(cached_bytes(), 1u << 20);
}

Test(tcache, a_total_of_nothing_caches_nothing)
{
    setenv("TARN_TCACHE_TOTAL", "0", 1);
    use_all_sizes();
    cr_assert_eq(cached_bytes(), 0u);
    cr_assert(survey_validate());
}

Test(tcache, what_was_not_used_makes_room)
{
    void *objects[100];
    setenv("TARN_TCACHE_TOTAL", "64K", 1);
    allocate(objects, 100, SIZE);
    release(objects, 100);
    for (int round = 0; round < 10; round++) {
        allocate(objects, 100, 640);
        release(objects, 100);
    }
    cr_assert_eq(tcache_self->capacity[CLS], 0);
    cr_assert_gt(tcache_self->capacity[size_class_of(640)], 8);
    cr_assert(tcache_validate());
}

// What threads have taken and sleep on does not keep others from caching.
static void *use_beside_others(void *share)
{
    use_all_sizes();
    cr_assert_gt(tcache_self->charged, *(const uint64_t *)share / 2);
    cr_assert_gt(cached_bytes(), 0u);
    cr_assert_leq(now().room, load_relaxed(&options.tcache_total));
    cr_assert(tcache_validate());
    return NULL;
}

Test(tcache, a_thread_that_comes_late_finds_its_share)
{
    setenv("TARN_TCACHE_TOTAL", "1M", 1);
    setenv("TARN_DECAY_MS", "-1", 1); // on a busy machine a period may end in the midst
    use_all_sizes();
    cr_assert_gt(tcache_self->charged, (uint64_t)600 << 10);  // and will not run again
    cr_assert_leq(tcache_self->charged, (uint64_t)896 << 10); // the last eighth is for others
    uint64_t share = (128 << 10) / 2;                         // of two threads
    in_thread(use_beside_others, &share);
    cr_assert_eq(now().room, tcache_self->charged);
}

// A slow path of another class.
static void meet_a_slow_path(void)
{
    static void *objects[20 * LIMIT];
    allocate(objects, 20 * LIMIT, 16);
    release(objects, 20 * LIMIT);
}

Test(tcache, an_idle_thread_hands_over_at_its_next_slow_path)
{
    use_all_sizes();
    uint64_t busy = cached_bytes();
    tcache_end_period();
    meet_a_slow_path();
    tcache_end_period();
    meet_a_slow_path();
    cr_assert_gt(cached_bytes(), busy / 2); // it met one in each period
    tcache_end_period();
    tcache_end_period();
    cr_assert_gt(cached_bytes(), busy / 2); // nobody else touches its cache
    meet_a_slow_path();
    cr_assert_leq(cached_bytes(), 16u * 3 * LIMIT);
    cr_assert_leq(tcache_self->charged, 16u * 3 * LIMIT + PAGE_SIZE);
    cr_assert(survey_validate());
    use_all_sizes();
    cr_assert_gt(cached_bytes(), busy / 2);
    cr_assert(survey_validate());
}

Test(tcache, all_hand_over_while_memory_is_short)
{
    use_all_sizes();
    tcache_press();
    meet_a_slow_path();
    cr_assert_leq(cached_bytes(), 16u * 3 * LIMIT);
    cr_assert(survey_validate());
}

Test(tcache, a_lowered_total_takes_effect_at_the_next_slow_path)
{
    use_all_sizes();
    cr_assert_gt(now().room, (uint64_t)1 << 20);
    cr_assert_eq(options_set("TARN_TCACHE_TOTAL", "64K"), 0);
    tcache_end_period();
    meet_a_slow_path();
    cr_assert_leq(now().room, (uint64_t)64 << 10);
    cr_assert(survey_validate());
}

// Beyond its share and while room is short a thread gives up what it does not use, period by period.
Test(tcache, what_was_not_used_goes_in_the_next_period_when_room_is_short)
{
    char total[32];
    use_all_sizes();
    uint64_t before = tcache_self->charged;
    snprintf(total, sizeof total, "%zu", (size_t)before);
    cr_assert_eq(options_set("TARN_TCACHE_TOTAL", total), 0); // all of it is taken
    for (int i = 0; i < 2; i++) {
        tcache_end_period();
        meet_a_slow_path();
    }
    cr_assert_leq(tcache_self->charged, before * 3 / 4);
    cr_assert(survey_validate());
}

Test(tcache, off_means_off)
{
    setenv("TARN_TCACHE_OFF", "1", 1);
    use_all_sizes();
    cr_assert_eq(cached_bytes(), 0u);
    cr_assert(survey_validate());
}

Test(tcache, larger_sizes_than_asked_for_are_not_cached)
{
    setenv("TARN_TCACHE_MAX_SIZE", "1024", 1);
    use_all_sizes();
    cr_assert_gt(now().objects[size_class_of(1024)], 0u);
    cr_assert_eq(now().objects[size_class_of(1025)], 0u);
}

// --- Objects of other homes.

static bool contains(void **objects, size_t n, const void *p)
{
    for (size_t i = 0; i < n; i++)
        if (objects[i] == p)
            return true;
    return false;
}

enum { STRANGE = 40 };

static void *free_strange_objects(void *arg)
{
    void **objects = arg, *own[STRANGE];
    allocate(own, STRANGE, SIZE); // a capacity above what comes
    release(objects, STRANGE / 2);
    struct bin *bin = &tcache_self->away[CLS];
    uint64_t away = (uint64_t)(load_relaxed(&bin->top) - load_relaxed(&bin->empty));
    cr_assert_eq(away, (uint64_t)STRANGE / 2);
    for (int i = 0; i < STRANGE; i++)
        cr_assert_not(contains(objects, STRANGE / 2, own[i]));
    void *more[STRANGE];
    allocate(more, STRANGE, SIZE);
    for (int i = 0; i < STRANGE; i++)
        cr_assert_not(contains(objects, STRANGE / 2, more[i]));
    release(own, STRANGE);
    release(more, STRANGE);
    cr_assert(tcache_validate());
    return NULL;
}

Test(tcache, objects_of_another_home_are_not_allocated_from_where_they_share_lines)
{
    void *objects[STRANGE];
    allocate(objects, STRANGE, SIZE);
    in_thread(free_strange_objects, objects);
    release(objects + STRANGE / 2, STRANGE / 2);
    cr_assert(survey_validate());
}

// More than the own bin holds, so that it runs dry.
static void *find_strange_objects(void *arg)
{
    void **objects = arg, *own[STRANGE], *more[2 * STRANGE];
    allocate(own, STRANGE, CACHE_LINE);
    release(objects, STRANGE);
    allocate(more, 2 * STRANGE, CACHE_LINE);
    for (int i = 0; i < STRANGE; i++)
        cr_assert(contains(more, 2 * STRANGE, objects[i]));
    cr_assert(tcache_validate());
    release(more, 2 * STRANGE);
    release(own, STRANGE);
    cr_assert(tcache_validate());
    return NULL;
}

Test(tcache, a_dry_bin_takes_objects_of_another_home_that_share_no_line)
{
    void *objects[STRANGE];
    allocate(objects, STRANGE, CACHE_LINE);
    in_thread(find_strange_objects, objects);
    cr_assert(survey_validate());
}

enum { PAIRS = 10000, STRANGERS = 8 }; // a thread keeps nothing of the first four

static void *allocate_and_free_one(void *arg)
{
    release(arg, STRANGERS);
    uint64_t before = now().refills[size_class_of(CACHE_LINE)];
    for (int i = 0; i < PAIRS; i++)
        alloc_free_fast(alloc_fast(CACHE_LINE));
    cr_assert_lt(now().refills[size_class_of(CACHE_LINE)] - before, PAIRS / 100);
    return NULL;
}

static void find_objects_of_another_home(size_t n)
{
    static void *objects[20 * LIMIT];
    allocate(objects, n, CACHE_LINE);
    in_thread(allocate_and_free_one, objects);
    release(objects + STRANGERS, n - STRANGERS);
    cr_assert(survey_validate());
}

// They come back to the away bin after each pair.
Test(tcache, a_thread_that_has_objects_of_another_home_alone_gets_its_own_span)
{
    find_objects_of_another_home(size_class_table[size_class_of(CACHE_LINE)].slots);
}

Test(tcache, a_thread_that_has_objects_of_another_home_alone_gets_others)
{
    find_objects_of_another_home((size_t)20 * LIMIT);
}

enum { OWN = 3000, MORE = 1500, OTHERS = 4096, OWN_ROUNDS = 8 }; // of others eight spans

static void *others[OTHERS];

// What the thread allocates and frees itself is all that it frees, until then.
static uint64_t spans_made_for_more(void (*give_half_of_others)(void))
{
    static void *own[OWN + MORE];
    for (int i = 0; i < OWN_ROUNDS; i++) {
        allocate(own, OWN, SIZE);
        release(own, OWN);
    }
    give_half_of_others();
    uint64_t before = central_counts(CLS).spans_made;
    allocate(own, OWN + MORE, SIZE);
    uint64_t made = central_counts(CLS).spans_made - before;
    release(own, OWN + MORE);
    cr_assert(tcache_validate());
    return made;
}

// Past the thread's cache, as if their own thread had done so.
static void give_elsewhere(void)
{
    for (size_t i = 0; i < OTHERS; i += 2)
        central_give(CLS, &others[i], 1);
}

static void give_here(void)
{
    for (size_t i = 0; i < OTHERS; i += 2)
        alloc_free_fast(others[i]);
}

static void *keep_to_itself(void *arg)
{
    (void)arg;
    cr_assert_geq(spans_made_for_more(give_elsewhere), 2u);
    return NULL;
}

static void *mingle(void *arg)
{
    (void)arg;
    cr_assert_leq(spans_made_for_more(give_here), 1u);
    return NULL;
}

static void beside_others(void *(*body)(void *arg))
{
    allocate(others, OTHERS, SIZE);
    in_thread(body, NULL);
    for (size_t i = 1; i < OTHERS; i += 2)
        alloc_free_fast(others[i]);
    cr_assert(survey_validate());
}

Test(tcache, a_thread_that_frees_what_it_allocated_leaves_others_their_spans)
{
    beside_others(keep_to_itself);
}
Test(tcache, a_thread_that_frees_what_others_allocated_uses_it_again) { beside_others(mingle); }

static void give_elsewhere_and_run_short(void)
{
    give_elsewhere();
    set_soft_limit(PAGE_SIZE);
    cr_assert(limit_reserve(PAGE_SIZE)); // crosses it
    limit_discharge(PAGE_SIZE);
    cr_assert(limit_is_above_soft());
}

static void *run_short(void *arg)
{
    (void)arg;
    size_t beyond_others = OWN + MORE - OTHERS / 2; // its own spans have gone back
    cr_assert_leq(spans_made_for_more(give_elsewhere_and_run_short), beyond_others * SIZE / PAGE_SIZE + 1);
    return NULL;
}

Test(tcache, above_the_soft_limit_it_takes_what_others_have_free) { beside_others(run_short); }

static void *free_only(void *arg)
{
    release(arg, 2000);
    cr_assert_leq(now().objects[CLS], 2000u);
    cr_assert_gt(central_counts(CLS).batches_in, 10u);
    return NULL;
}

Test(tcache, a_thread_that_only_frees_sends_batches_on)
{
    static void *objects[2000];
    allocate(objects, 2000, SIZE);
    uint64_t own = now().objects[CLS];
    in_thread(free_only, objects);
    cr_assert_eq(now().objects[CLS], own); // its cache ended with it
    cr_assert(survey_validate());
}

// In no order, as far as spans are concerned: three quarters of each are free when three quarters of all are.
enum { BURST = 20000, BURST_STEP = 7919, THREADS = 2 };

static void *free_another_ones_burst(void *arg)
{
    void **objects = arg;
    for (size_t i = 0; i < BURST; i++) {
        alloc_free_fast(objects[i * BURST_STEP % BURST]);
        struct bin *away = &tcache_self->away[CLS];
        size_t waiting = (size_t)(load_relaxed(&away->top) - load_relaxed(&away->empty));
        if (i > 3 * BURST / 4)
            cr_assert_leq(waiting, max_size(16, (BURST - i + LIMIT) / (64 * THREADS)));
    }
    cr_assert_eq(tcache_self->capacity[CLS], 0, "nothing is left of the class, and nothing is kept");
    cr_assert(tcache_validate());
    return NULL;
}

// The thread may stop at any moment, and each object of an emptied span would hold a page then.
Test(tcache, little_waits_of_spans_that_are_being_emptied)
{
    static void *objects[BURST];
    allocate(objects, BURST, SIZE);
    tcache_flush(); // a span that is held does not drain
    in_thread(free_another_ones_burst, objects);
    cr_assert(survey_validate());
}

// A quarter of the objects stays, in all spans alike, and then one after another is replaced. What is freed
// is at once allocated again, so that without further ado each would stay where it is, in spans that are
// three quarters free.
Test(tcache, the_spans_of_a_class_in_less_demand_become_fewer)
{
    enum { PER_SPAN = PAGE_SIZE / SIZE, SPANS = 40, LEFT = SPANS * PER_SPAN / 4, ROUNDS = 30 };
    static void *objects[SPANS * PER_SPAN];
    uint64_t random = 1;
    allocate(objects, SPANS * PER_SPAN, SIZE);
    for (size_t i = 0; i < SPANS * PER_SPAN; i++)
        if (i % 4 == 0)
            objects[i / 4] = objects[i];
        else
            alloc_free_fast(objects[i]);
    cr_assert_geq(central_spans(CLS), (uint64_t)SPANS);
    for (size_t i = 0; i < (size_t)ROUNDS * LEFT; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t at = (size_t)(random >> 33) % LEFT;
        alloc_free_fast(objects[at]);
        cr_assert_not_null(objects[at] = alloc_fast(SIZE));
    }
    tcache_flush(); // the last objects of spans without a home wait for more of them
    cr_assert_leq(central_spans(CLS), (uint64_t)SPANS / 2);
    cr_assert(tcache_validate());
    cr_assert(central_validate(CLS));
}

// --- The end.

Test(tcache, flushing_empties_and_the_cache_goes_on)
{
    use_all_sizes();
    tcache_flush();
    cr_assert_eq(cached_bytes(), 0u);
    cr_assert_eq(tcache_self->charged, 0u);
    cr_assert(survey_validate());
    use_all_sizes();
    cr_assert_gt(cached_bytes(), 0u);
    cr_assert(survey_validate());
}

static void *use_and_tell(void *cache)
{
    use_all_sizes();
    *(struct tcache **)cache = tcache_self;
    return NULL;
}

Test(tcache, an_ended_thread_leaves_nothing_and_its_descriptor_serves_the_next)
{
    struct tcache *first, *second;
    in_thread(use_and_tell, &first);
    cr_assert_eq(cached_bytes(), 0u);
    cr_assert_eq(now().live, 0u);
    in_thread(use_and_tell, &second);
    cr_assert_eq(first, second);
    cr_assert_eq(now().caches, 1u);
    cr_assert_eq(first->charged, 0u);
    cr_assert(survey_validate());
}

static void *birth_and_death(void *arg)
{
    void *p = alloc_fast((size_t)(uintptr_t)arg);
    cr_assert_not_null(p);
    alloc_free_fast(p);
    return NULL;
}

Test(tcache, many_short_threads_need_few_descriptors)
{
    for (uintptr_t i = 1; i <= 500; i++)
        in_thread(birth_and_death, (void *)i);
    cr_assert_eq(now().caches, 1u);
    struct stats stats;
    survey_take(&stats);
    cr_assert_eq(stats.live_bytes, 0u);
    cr_assert_eq(stats.cached_thread_bytes, 0u);
    cr_assert(survey_validate());
}

static pthread_key_t late_key;
static bool late_ran;

static void after_the_cache(void *p)
{
    cr_assert_eq(tcache_self, &tcache_gone);
    alloc_free_fast(p);
    void *objects[100];
    allocate(objects, 100, SIZE);
    cr_assert_eq(tcache_self, &tcache_gone);
    release(objects, 100);
    late_ran = true;
}

static void *set_late_key(void *arg)
{
    (void)arg;
    pthread_setspecific(late_key, alloc_fast(SIZE));
    return NULL;
}

Test(tcache, what_a_thread_does_after_its_cache_goes_past_it)
{
    cr_assert(heap_start()); // the cache's key is older, so its destructor runs before ours
    cr_assert_eq(pthread_key_create(&late_key, after_the_cache), 0);
    in_thread(set_late_key, NULL);
    cr_assert(late_ran);
    cr_assert_eq(cached_bytes(), 0u);
    struct stats stats;
    survey_take(&stats);
    cr_assert_eq(stats.live_bytes, 0u);
    cr_assert(survey_validate());
}

// --- Many threads that free each other's objects.

enum { CROWD = 4, PLACES = 512, ROUNDS = 30000 };
static _Atomic(void *) places[PLACES];

static void *trade(void *arg)
{
    unsigned random = (unsigned)(uintptr_t)arg * 2654435761u + 1;
    for (int i = 0; i < ROUNDS; i++) {
        random = random * 1664525u + 1013904223u;
        size_t *p = alloc_fast(16 + (random >> 20) % 600);
        *p = (size_t)p;
        p = atomic_exchange(&places[(random >> 8) % PLACES], p);
        cr_assert(p == NULL || *p == (size_t)p);
        if (p != NULL)
            *p = 0;
        alloc_free_fast(p);
    }
    cr_assert(tcache_validate());
    return NULL;
}

Test(tcache, threads_that_free_for_each_other)
{
    pthread_t threads[CROWD];
    for (uintptr_t i = 0; i < CROWD; i++)
        pthread_create(&threads[i], NULL, trade, (void *)i);
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < PLACES; i++)
        alloc_free_fast(places[i]);
    alloc_collect();
    struct stats stats;
    survey_take(&stats);
    cr_assert_eq(stats.live_bytes, 0u);
    cr_assert_eq(stats.span_free_bytes, 0u);
    cr_assert(survey_validate());
}
