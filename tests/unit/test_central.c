// SPDX-License-Identifier: MIT
#include "core/central.h"

#include "../support/dies.h"
#include "buddy/page_heap.h"
#include "core/init.h"
#include "core/options.h"
#include "core/os.h"
#include "core/page_map.h"
#include "limited.h"
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { HOME = 9, SMALL = 22 }; // SMALL: 512 bytes, 32 slots in one page

static void setup(void) { cr_assert(heap_start()); }
TestSuite(central, .init = setup);

static int compare(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (void *const *)a, y = (uintptr_t) * (void *const *)b;
    return x < y ? -1 : x > y;
}

static void take(unsigned cls, void **objects, size_t n)
{
    for (size_t taken, done = 0; done < n; done += taken) {
        taken = central_take(cls, objects + done, n - done, HOME, CENTRAL_ALL, NULL);
        cr_assert_neq(taken, 0u);
    }
}

static uint64_t spans_now(unsigned cls)
{
    struct central_counts counts = central_counts(cls);
    return counts.spans_made - counts.spans_retired;
}

static struct span *span_of(void *p) { return span_of_page(page_of(p)); }

Test(central, objects_of_every_class_are_apart_and_go_back)
{
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++) {
        enum { MANY = 200 };
        void *objects[MANY];
        take(cls, objects, MANY);
        qsort(objects, MANY, sizeof objects[0], compare);
        for (int i = 0; i < MANY; i++) {
            cr_assert_eq(entry_class(page_entry(page_of(objects[i]))), cls);
            if (i > 0)
                cr_assert_geq((uintptr_t)objects[i] - (uintptr_t)objects[i - 1], size_class_size(cls));
        }
        cr_assert(central_validate(cls));
        central_give(cls, objects, MANY);
        cr_assert(central_validate(cls));
        central_trim(cls, true);
        cr_assert_eq(spans_now(cls), 0u, "class %u", cls);
    }
    cr_assert_eq(page_heap_counts().used_pages, 0u);
    cr_assert(page_heap_validate());
}

Test(central, the_first_taker_without_a_span_of_its_own_is_the_home)
{
    void *p;
    cr_assert_eq(central_take(SMALL, &p, 1, 77, CENTRAL_ALL, NULL), 1u);
    cr_assert_eq(page_entry(page_of(p)) >> PAGE_HOME_SHIFT, 77u);
    void *q;
    cr_assert_eq(central_take(SMALL, &q, 1, 78, CENTRAL_ALL, NULL), 1u);
    cr_assert_eq(page_entry(page_of(q)) >> PAGE_HOME_SHIFT, 77u);
}

Test(central, a_held_span_stays_with_its_cache_until_it_is_used_up)
{
    struct span *held = NULL, *first;
    void *objects[32], *other;
    cr_assert_eq(central_take(SMALL, objects, 10, 5, CENTRAL_ALL, &held), 10u);
    cr_assert_not_null(first = held);
    cr_assert_eq(central_take(SMALL, &other, 1, 6, CENTRAL_ALL, NULL), 1u);
    cr_assert_neq(span_of(other), first);
    cr_assert_eq(central_take(SMALL, objects + 10, 22, 5, CENTRAL_ALL, &held), 22u);
    cr_assert_null(held);
    for (int i = 0; i < 32; i++)
        cr_assert_eq(span_of(objects[i]), first);
    cr_assert(central_validate(SMALL));
}

Test(central, a_held_span_that_is_released_is_used_by_others)
{
    struct span *held = NULL;
    void *p, *q;
    cr_assert_eq(central_take(SMALL, &p, 1, 5, CENTRAL_ALL, &held), 1u);
    central_release(held);
    cr_assert_eq(central_take(SMALL, &q, 1, 6, CENTRAL_ALL, NULL), 1u);
    cr_assert_eq(span_of(q), span_of(p));
}

// Three spans get 30, 15 and 3 of their 32 slots back; what is taken next comes from the fullest.
Test(central, the_fullest_span_serves_first)
{
    static const size_t back[] = {30, 15, 3};
    void *objects[3][32];
    for (int i = 0; i < 3; i++)
        take(SMALL, objects[i], 32);
    for (int i = 0; i < 3; i++)
        central_give(SMALL, objects[i], back[i]);
    for (int i = 2; i >= 0; i--)
        for (size_t n = 0; n < back[i]; n++) {
            void *p;
            take(SMALL, &p, 1);
            cr_assert_eq(span_of(p), span_of(objects[i][31]), "slot %zu of span %d", n, i);
        }
    cr_assert(central_validate(SMALL));
}

static uint32_t home_of(void *p) { return page_entry(page_of(p)) >> PAGE_HOME_SHIFT; }

Test(central, a_span_with_many_free_slots_has_no_home_until_some_are_taken)
{
    void *objects[32], *p;
    take(SMALL, objects, 32);
    central_give(SMALL, objects, 7);
    cr_assert_eq(home_of(objects[31]), (uint32_t)HOME);
    central_give(SMALL, objects + 7, 1);
    cr_assert_eq(home_of(objects[31]), HOME | PAGE_HOME_NONE);
    cr_assert_eq(central_take(SMALL, &p, 1, 5, CENTRAL_ALL, NULL), 1u);
    cr_assert_eq(span_of(p), span_of(objects[31]));
    cr_assert_eq(home_of(p), 5u);
    cr_assert(central_validate(SMALL));
}

Test(central, a_span_that_a_cache_holds_keeps_its_home)
{
    struct span *held = NULL;
    void *objects[16];
    cr_assert_eq(central_take(SMALL, objects, 16, HOME, CENTRAL_ALL, &held), 16u);
    central_give(SMALL, objects, 15);
    cr_assert_eq(home_of(objects[15]), (uint32_t)HOME);
    central_release(held);
}

// Of 32 slots 8 are free, then those of a batch in which each second object is of that span.
Test(central, a_batch_is_drained_of_what_lies_in_spans_without_a_home)
{
    void *sparse[32], *full[32];
    struct batch *batch = batch_new();
    take(SMALL, sparse, 32);
    take(SMALL, full, 32);
    for (int i = 0; i < 8; i++)
        batch->objects[i] = i % 2 == 0 ? sparse[i + 8] : full[i];
    batch_set_count(batch, 8);
    central_drain(SMALL, batch);
    cr_assert_eq(batch_count(batch), 8u); // none is sparse yet
    central_give(SMALL, sparse, 8);
    central_drain(SMALL, batch);
    cr_assert_eq(batch_count(batch), 4u);
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(span_of(batch->objects[i]), span_of(full[0]));
    cr_assert_eq(span_free(span_of(sparse[31])), 12);
    cr_assert(central_validate(SMALL));
    central_give(SMALL, batch->objects, 4);
    batch_recycle(batch);
}

Test(central, empty_spans_go_home_before_they_are_many)
{
    enum { MANY = 32 * 100 };
    static void *objects[MANY];
    take(SMALL, objects, MANY);
    cr_assert_eq(spans_now(SMALL), 100u);
    for (int i = 0; i < MANY; i++)
        central_give(SMALL, objects + i, 1);
    cr_assert_lt(spans_now(SMALL), 20u);
    cr_assert(central_validate(SMALL));
}

// All slots of a span come back in one step, from full to empty.
Test(central, spans_that_become_empty_at_once_go_home_too)
{
    enum { MANY = 32 * 100 };
    static void *objects[MANY];
    take(SMALL, objects, MANY);
    central_give(SMALL, objects, MANY);
    cr_assert(central_validate(SMALL));
    cr_assert_lt(spans_now(SMALL), 20u);
    central_trim(SMALL, true);
    cr_assert_eq(spans_now(SMALL), 0u);
    cr_assert(central_validate(SMALL));
}

static struct batch *full_batch(unsigned cls, size_t n)
{
    struct batch *batch = batch_new();
    take(cls, batch->objects, n);
    batch_set_count(batch, n);
    return batch;
}

Test(central, full_batches_are_bounded_and_counted)
{
    unsigned pushed = 0;
    struct batch *batch;
    while (central_push_batch(SMALL, batch = full_batch(SMALL, 20)))
        cr_assert_lt(++pushed, 300u);
    cr_assert_gt(pushed, 2u);
    cr_assert_eq(central_counts(SMALL).batch_objects, pushed * 20u);
    cr_assert_eq(central_counts(SMALL).batches_in, pushed);
    cr_assert(central_validate(SMALL));
    cr_assert_not_null(central_pop_batch(SMALL, HOME, CENTRAL_ALL));
    cr_assert_eq(central_counts(SMALL).batch_objects, (pushed - 1) * 20u);
    cr_assert(central_push_batch(SMALL, batch));
}

// What threads of one shard gave is found by those of another, but only where they look everywhere.
Test(central, others_shards_are_searched_last)
{
    void *object;
    cr_assert(central_push_batch(SMALL, full_batch(SMALL, 20)));
    cr_assert_null(central_pop_batch(SMALL, HOME + 1, CENTRAL_NEAR));
    struct batch *batch = central_pop_batch(SMALL, HOME + 1, CENTRAL_ALL);
    cr_assert_not_null(batch);
    cr_assert_eq(central_counts(SMALL).spans_made, 1);
    cr_assert_eq(central_take(SMALL, &object, 1, HOME + 1, CENTRAL_NEAR, NULL), 0u);
    cr_assert_eq(central_take(SMALL, &object, 1, HOME, CENTRAL_NEAR, NULL), 1u);
    cr_assert_eq(central_take(SMALL, &object, 1, HOME + 1, CENTRAL_ALL, NULL), 1u);
    cr_assert_eq(central_counts(SMALL).spans_made, 1); // before a new span is made
}

static int compare_random(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(void *)); // little-endian: by the low byte first
}

// The objects of a torn-down structure, which lie in no order, come in batches of their class.
static void tear_down(unsigned cls, void **objects, size_t left)
{
    size_t most = size_class_table[cls].batch;
    unsigned deepest = 0, given = 0;
    qsort(objects, left, sizeof objects[0], compare_random);
    while (left > 0) {
        struct batch *batch = batch_new();
        size_t part = min_size(left, most);
        left -= part;
        memcpy(batch->objects, objects + left, part * sizeof objects[0]);
        batch_set_count(batch, part);
        unsigned depth = central_push_batch(cls, batch);
        deepest = depth > deepest ? depth : deepest;
        if (depth != 0)
            continue;
        given = central_give_full(cls, batch);
        cr_assert_eq(given, deepest / 2 + 1);
        cr_assert_eq(central_counts(cls).batch_objects, (deepest - deepest / 2) * most);
    }
    cr_assert_gt(given, 1u);
}

Test(central, a_full_pool_gives_half_of_its_batches_back)
{
    enum { MANY = 5000, TINY = 4 };
    static void *objects[MANY];
    for (unsigned cls = TINY; cls <= SMALL; cls += SMALL - TINY) {
        take(cls, objects, MANY);
        tear_down(cls, objects, MANY);
        cr_assert(central_validate(cls));
        central_trim(cls, true);
        cr_assert_eq(spans_now(cls), 0u, "nothing is lost");
    }
}

Test(central, trimming_gives_unused_batches_back)
{
    for (int i = 0; i < 4; i++)
        cr_assert(central_push_batch(SMALL, full_batch(SMALL, 32)));
    central_trim(SMALL, false); // notes the depth
    central_push_batch(SMALL, central_pop_batch(SMALL, HOME, CENTRAL_ALL));
    central_trim(SMALL, false); // one of the four was needed meanwhile
    cr_assert_eq(central_counts(SMALL).batch_objects, 32u);
    central_trim(SMALL, false);
    cr_assert_eq(central_counts(SMALL).batch_objects, 0u);
    cr_assert(central_validate(SMALL));
}

enum { SPARED = 400 };
#define PAGED size_class_of(4096)

static void *kept_objects[SPARED];

// Spans of eight slots of 4096 bytes each, of which one in eight stays in use, all written to.
static void leave_sparse_spans(void)
{
    if (os_page_size() > 4096)
        cr_skip_test("only whole pages of the kernel rest, and a slot is less here");
    static void *objects[8 * SPARED];
    take(PAGED, objects, 8 * SPARED);
    qsort(objects, 8 * SPARED, sizeof objects[0], compare);
    for (size_t i = 0; i < 8 * SPARED; i++) {
        memset(objects[i], 7, 4096);
        if (i % 8 == i / 8 % 8)
            kept_objects[i / 8] = objects[i];
        else
            central_give(PAGED, &objects[i], 1);
    }
}

static void expect_kept(void)
{
    for (size_t i = 0; i < SPARED; i++)
        for (size_t at = 0; at < 4096; at++)
            cr_assert_eq(((char *)kept_objects[i])[at], 7);
}

Test(central, sparse_spans_that_nobody_takes_from_come_to_rest)
{
    leave_sparse_spans();
    central_trim(PAGED, false);
    cr_assert_eq(central_counts(PAGED).rested_bytes, 0u); // they may be needed the next moment
    for (int i = 0; i < 3; i++)
        central_trim(PAGED, false);
    uint64_t rested = central_counts(PAGED).rested_bytes;
    cr_assert_eq(rested, (uint64_t)7 * SPARED * 4096, "%zu", (size_t)rested / 4096);
    expect_kept();
    central_trim(PAGED, true);
    cr_assert_eq(central_counts(PAGED).rested_bytes, rested, "once is enough");
    cr_assert(central_validate(PAGED));
}

Test(central, a_growing_heap_brings_sparse_spans_to_rest_at_the_second_look)
{
    leave_sparse_spans();
    central_contain(UINT64_MAX);
    cr_assert_eq(central_counts(PAGED).rested_bytes, 0u);
    central_contain(UINT64_MAX);
    cr_assert_eq(central_counts(PAGED).rested_bytes, (uint64_t)7 * SPARED * 4096);
    expect_kept();
    cr_assert(central_validate(PAGED));
}

Test(central, no_more_comes_to_rest_than_a_growing_heap_needs)
{
    leave_sparse_spans();
    central_contain(1);
    central_contain((uint64_t)9 * 7 * 4096 + 1);
    cr_assert_eq(central_counts(PAGED).rested_bytes, (uint64_t)10 * 7 * 4096);
    cr_assert(central_validate(PAGED));
}

Test(central, a_class_with_little_free_is_not_searched)
{
    static void *objects[8 * SPARED];
    leave_sparse_spans();
    take(SMALL, objects, 8 * SPARED);
    central_give(SMALL, objects + 1, 31);
    for (int i = 0; i < 3; i++)
        central_contain(UINT64_MAX);
    central_trim(SMALL, false);
    cr_assert_eq(central_counts(SMALL).rested_bytes, 0u, "it was not seen before");
    cr_assert_neq(central_counts(PAGED).rested_bytes, 0u);
}

Test(central, a_class_that_would_give_much_back_is_searched_in_a_large_heap_too)
{
    leave_sparse_spans();
    struct page_block rest = page_heap_take((512 << 20) / PAGE_SIZE, PAGE_SIZE);
    cr_assert_neq(rest.first.n, NO_PAGE.n);
    for (int i = 0; i < 2; i++)
        central_contain(UINT64_MAX);
    cr_assert_eq(central_counts(PAGED).rested_bytes, (uint64_t)7 * SPARED * 4096);
    page_heap_give(rest.first, (512 << 20) / PAGE_SIZE);
    cr_assert(central_validate(PAGED));
}

// The last of a span's objects hold most of its memory.
Test(central, a_resting_span_rests_again_as_it_thins_out)
{
    void *objects[32];
    take(SMALL, objects, 32);
    qsort(objects, 32, sizeof objects[0], compare);
    for (size_t i = 0; i < 32; i++)
        if (i % 8 != 0) // one stays in each of the kernel's pages
            central_give(SMALL, &objects[i], 1);
    central_trim(SMALL, true);
    cr_assert_eq(central_counts(SMALL).rested_bytes, 0u);
    central_give(SMALL, &objects[8], 1);
    for (int i = 0; i < 3; i++)
        central_trim(SMALL, false);
    cr_assert_eq(central_counts(SMALL).rested_bytes, 4096u);
    cr_assert(central_validate(SMALL));
}

Test(central, growth_is_noted_once_in_each_step)
{
    static void *objects[8 * SPARED];
    take(PAGED, objects, 1);
    central_notes_growth();
    cr_assert_not(central_notes_growth());
    take(PAGED, objects + 1, 8 * SPARED - 1); // 13 MB
    cr_assert(central_notes_growth());
    cr_assert_not(central_notes_growth());
    central_give(PAGED, objects, 8 * SPARED);
    central_trim(PAGED, true);
    page_heap_purge();
    cr_assert_not(central_notes_growth(), "it has shrunk");
    take(PAGED, objects, 8 * SPARED);
    cr_assert(central_notes_growth());
}

Test(central, shedding_makes_no_system_call)
{
    leave_sparse_spans();
    for (int i = 0; i < 8; i++)
        central_shed(PAGED);
    cr_assert_eq(central_counts(PAGED).rested_bytes, 0u);
    cr_assert(central_push_batch(SMALL, full_batch(SMALL, 32)));
    central_shed(SMALL);
    central_shed(SMALL);
    cr_assert_eq(central_counts(SMALL).batch_objects, 0u, "but it gives batches back");
}

Test(central, what_rests_is_taken_again_like_any_other)
{
    static void *more[3 * SPARED];
    leave_sparse_spans();
    central_trim(PAGED, true);
    cr_assert_eq(central_counts(PAGED).rested_bytes, (uint64_t)7 * SPARED * 4096);
    uint64_t spans = central_counts(PAGED).spans_made;
    take(PAGED, more, 3 * SPARED);
    cr_assert_eq(central_counts(PAGED).spans_made, spans);
    for (size_t i = 0; i < 3 * SPARED; i++)
        memset(more[i], 9, 4096);
    expect_kept();
    central_give(PAGED, more, 3 * SPARED);
    central_give(PAGED, kept_objects, SPARED);
    central_trim(PAGED, true);
    cr_assert_eq(spans_now(PAGED), 0u);
}

// What rests is not charged, and is charged again when its span is taken from, or goes home.
Test(central, what_rests_lowers_the_charge)
{
    void *more;
    leave_sparse_spans();
    uint64_t before = limit_charged(), rested = (uint64_t)7 * SPARED * 4096;
    central_trim(PAGED, true);
    cr_assert_eq(limit_charged(), before - rested);
    central_trim(PAGED, true);
    cr_assert_eq(limit_charged(), before - rested);
    cr_assert(page_heap_validate());
    take(PAGED, &more, 1);
    cr_assert_eq(limit_charged(), before - rested + (uint64_t)7 * 4096);
    central_give(PAGED, &more, 1);
    central_give(PAGED, kept_objects, SPARED);
    central_trim(PAGED, true);
    cr_assert_eq(spans_now(PAGED), 0u);
    cr_assert_eq(load_relaxed(&limits.rested), 0u);
    cr_assert_eq(limit_charged(), before);
    cr_assert(page_heap_validate());
}

Test(central, what_rests_stays_away_where_the_hard_limit_has_no_room)
{
    void *more = NULL;
    leave_sparse_spans();
    central_trim(PAGED, true);
    page_heap_purge();
    store_relaxed(&options.limit_hard, (int64_t)(limit_charged() + 6 * 4096));
    limit_refresh();
    cr_assert_eq(central_take(PAGED, &more, 1, HOME, CENTRAL_ALL, NULL), 0u);
    cr_assert_leq(limit_charged(), limit_bound(LIMIT_HARD));
    central_give(PAGED, kept_objects, 1); // its span goes home, and then there is room
    central_trim(PAGED, true);
    page_heap_purge();
    cr_assert_eq(central_take(PAGED, &more, 1, HOME, CENTRAL_ALL, NULL), 1u);
    cr_assert_leq(limit_charged(), limit_bound(LIMIT_HARD));
    cr_assert(page_heap_validate());
}

Test(central, a_refused_return_of_memory_harms_nothing)
{
    leave_sparse_spans();
    os_fail_nth(1);
    central_trim(PAGED, true);
    os_fail_nth(0);
    uint64_t rested = central_counts(PAGED).rested_bytes;
    cr_assert_lt(rested, (uint64_t)7 * SPARED * 4096);
    cr_assert_geq(rested, (uint64_t)6 * SPARED * 4096);
    expect_kept();
    cr_assert(central_validate(PAGED));
}

Test(central, without_memory_nothing_is_taken)
{
    void *p;
    set_hard_limit(PAGE_SIZE);
    cr_assert_eq(central_take(SMALL, &p, 1, HOME, CENTRAL_ALL, NULL), 0u);
    set_hard_limit(0);
    cr_assert_eq(central_take(SMALL, &p, 1, HOME, CENTRAL_ALL, NULL), 1u);
}

// --- Misuse.

static void give_one(void *p) { central_give(SMALL, &p, 1); }
static void give_inside(void *p) { give_one((char *)p + 16); }
static void give_twice(void *p) { central_give(SMALL, (void *[]){p, p}, 2); }
static void give_full_twice(void *p)
{
    struct batch *batch = batch_new();
    batch->objects[0] = batch->objects[1] = p;
    batch_set_count(batch, 2);
    central_give_full(SMALL, batch);
}
static void give_as_other_class(void *p) { central_give(SMALL + 1, &p, 1); }

static const char *double_free_line(void *p)
{
    static char line[128];
    snprintf(line, sizeof line, "tarn: double free of %p\n", p);
    return line;
}

static const char *inside_line(void *p, void *block)
{
    static char line[128];
    snprintf(line, sizeof line, "tarn: free of %p, which lies inside the block at %p\n", p, block);
    return line;
}

Test(central, misuse_is_told)
{
    void *objects[2], *p;
    take(SMALL, objects, 2);
    p = objects[1];
    expect_survives(give_one, p);
    expect_aborts(give_twice, p, double_free_line(p));
    expect_aborts(give_full_twice, p, double_free_line(p));
    expect_aborts(give_as_other_class, p, double_free_line(p));
    expect_aborts(give_inside, p, inside_line((char *)p + 16, p));
    give_one(p);
    expect_aborts(give_one, p, double_free_line(p));
}

static void give_small_tail(void *p)
{
    void *tail = (void *)(span_start(span_of(p)) + 341 * 48); // 341 slots of 48 bytes leave 16
    central_give(3, &tail, 1);
}

Test(central, the_tail_of_a_span_is_no_object)
{
    char text[1024];
    void *p;
    take(3, &p, 1);
    int status = run_in_child(give_small_tail, p, text, sizeof text);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    cr_assert_not_null(strstr(text, "tarn: free of 0x"), "%s", text);
}

// --- Many threads.

enum { CROWD = 4, CROWD_PLACES = 256, CROWD_ROUNDS = 20000 };
static const unsigned crowd_classes[] = {1, SMALL, 39, SIZE_CLASS_COUNT - 1};
static _Atomic(void *) places[4][CROWD_PLACES];

static void *trade(void *arg)
{
    unsigned random = (unsigned)(uintptr_t)arg * 2654435761u + 1;
    for (int i = 0; i < CROWD_ROUNDS; i++) {
        random = random * 1664525u + 1013904223u;
        unsigned which = random >> 30, cls = crowd_classes[which], n = 1 + (random >> 8) % 6;
        void *objects[6];
        for (unsigned k = 0; k < n; k++) {
            take(cls, &objects[k], 1);
            *(void **)objects[k] = objects[k];
            objects[k] = atomic_exchange(&places[which][(random >> 12) % CROWD_PLACES], objects[k]);
            n -= objects[k] == NULL ? n - k : 0;
        }
        for (unsigned k = 0; k < n; k++) {
            cr_assert_eq(*(void **)objects[k], objects[k]);
            *(void **)objects[k] = NULL;
        }
        central_give(cls, objects, n);
        if (random % 1024 == 0)
            central_trim(cls, random % 2048 == 0);
    }
    return NULL;
}

Test(central, many_threads_leave_everything_whole)
{
    pthread_t threads[CROWD];
    for (uintptr_t i = 0; i < CROWD; i++)
        pthread_create(&threads[i], NULL, trade, (void *)i);
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    for (int which = 0; which < 4; which++) {
        cr_assert(central_validate(crowd_classes[which]));
        for (int i = 0; i < CROWD_PLACES; i++)
            if (places[which][i] != NULL)
                central_give(crowd_classes[which], (void *[]){places[which][i]}, 1);
        central_trim(crowd_classes[which], true);
        cr_assert_eq(spans_now(crowd_classes[which]), 0u);
    }
    cr_assert(page_heap_validate());
}
