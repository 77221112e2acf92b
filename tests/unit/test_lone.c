// SPDX-License-Identifier: MIT
#include "core/lone.h"

#include "../support/dies.h"
#include "../support/fill.h"
#include "buddy/page_heap.h"
#include "core/alloc.h"
#include "core/harden.h"
#include "core/os.h"
#include "core/page_map.h"
#include "core/random.h"
#include "core/survey.h"
#include "limited.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

static struct stats stats;

static void expect_whole(void)
{
    cr_assert(survey_validate());
    survey_take(&stats);
    cr_assert_eq(stats.mapped_bytes, stats_accounted(&stats));
}

static void start_heap(void)
{
    setenv("TARN_HARDEN", "3", 1);
    alloc_free_fast(alloc_fast(1));
    cr_assert(has_lone_blocks());
}

static void start(void)
{
    if (!guard_is_possible())
        cr_skip("the kernel's pages are larger than the heap's");
    start_heap();
}

static bool is_lone(void *p) { return page_entry(page_of(p)) == PAGE_LONE; }

static bool ends_on_a_page(const void *p, size_t size, size_t align)
{
    size_t held = align_up(max_size(size, 1), max_size(align, 16));
    return ((uintptr_t)p + held) % os_page_size() == 0;
}

TestSuite(lone, .timeout = 60);

Test(lone, a_block_ends_where_its_pages_do)
{
    start();
    for (size_t align = 1; align <= os_page_size(); align *= 4) {
        for (size_t size = 0; size < SIZE_CLASS_MAX - 8; size = size * 3 + 1) {
            char *p = alloc_aligned(align, size);
            cr_assert(is_lone(p) && (uintptr_t)p % align == 0, "%zu %zu", align, size);
            cr_assert(ends_on_a_page(p, size, align), "%zu %zu", align, size);
            cr_assert_eq(alloc_usable_size(p, "malloc_usable_size"), size);
            cr_assert(fill_is_zero((unsigned char *)p, size));
            fill((unsigned char *)p, size, 7);
            expect_whole();
            cr_assert_eq(stats.live_bytes, align_up(max_size(size, 1), os_page_size()));
            cr_assert_eq(stats.requested_estimate_bytes, size);
            alloc_free_aligned_sized(p, align, size);
        }
    }
    expect_whole();
    cr_assert_eq(stats.live_bytes, 0u);
}

Test(lone, what_lies_around_a_block_faults)
{
    static const size_t sizes[] = {1, 16, 100, 4096, 9000, 24576, 24577, 60000};
    start();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *p = alloc_fast(sizes[i]), *end = (char *)align_up((uintptr_t)p + sizes[i], os_page_size());
        char *body = (char *)align_down((uintptr_t)p, os_page_size());
        cr_assert(faults(end) && faults(body - 1), "%zu", sizes[i]);
        cr_assert_not(faults(end - 1) || faults(body));
    }
}

Test(lone, what_is_larger_or_more_aligned_is_another_block)
{
    start();
    void *large = alloc_fast(SIZE_CLASS_MAX), *aligned = alloc_aligned(2 * os_page_size(), 100);
    cr_assert(!is_lone(large) && !is_lone(aligned));
    cr_assert_eq(alloc_usable_size(aligned, "malloc_usable_size"), 100u);
    alloc_free_fast(large);
    alloc_free_fast(aligned);
}

static size_t mixed_size(size_t i) { return i * i * 31 % (i % 8 == 0 ? 40000 : 3000); }

// Whatever is asked for meanwhile.
Test(lone, a_freed_block_faults_until_many_others_were_freed)
{
    start();
    char *p = alloc_fast(100);
    void *page = (void *)align_down((uintptr_t)p, PAGE_SIZE);
    alloc_free_fast(p);
    for (size_t i = 0; i < LONE_WAITING - 1; i++) {
        void *q = alloc_fast(mixed_size(i));
        cr_assert(is_lone(q) && align_down((uintptr_t)q, PAGE_SIZE) != (uintptr_t)page, "%zu", i);
        alloc_free_fast(q);
        cr_assert(i % 100 != 0 || faults(p));
    }
    cr_assert(faults(p));
    size_t frees = 0;
    for (bool back = false; !back; frees++) {
        cr_assert_lt(frees, 2 * LONE_WAITING);
        void *q = alloc_fast(100);
        back = align_down((uintptr_t)q, PAGE_SIZE) == (uintptr_t)page;
        alloc_free_fast(q);
    }
    expect_whole();
}

// What level 2 promises stays.
Test(lone, without_guards_all_blocks_are_slots)
{
    start_heap();
    if (guard_is_possible())
        cr_skip("the kernel's pages are no larger than the heap's");
    for (size_t size = 0; size < SIZE_CLASS_MAX - 8; size = size * 3 + 1) {
        unsigned char *p = alloc_fast(size);
        cr_assert_not(is_lone(p), "%zu", size);
        cr_assert_eq(alloc_usable_size(p, "malloc_usable_size"), size);
        fill(p, size, 7);
        alloc_free_sized(p, size);
    }
    expect_whole();
    cr_assert_eq(guard_count(), 0u);
    cr_assert_eq(stats.lone_bytes + stats.live_bytes, 0u);
}

static size_t resident_around(const void *p)
{
    return os_resident_pages(page_address(page_of(p)), PAGE_SIZE);
}

Test(lone, what_waits_holds_no_memory)
{
    start();
    for (size_t i = 0; i < LONE_WAITING + 100; i++) {
        char *p = alloc_fast(3000);
        memset(p, 1, 3000);
        cr_assert_eq(resident_around(p), 1u);
        alloc_free_fast(p);
        cr_assert_eq(resident_around(p), 0u);
    }
}

Test(lone, what_waits_is_not_charged)
{
    enum { MANY = 300 };
    void *blocks[MANY];
    start();
    expect_whole();
    uint64_t charged = limit_charged(), guards = stats.guard_bytes;
    for (size_t i = 0; i < MANY; i++)
        memset(blocks[i] = alloc_fast(3000), 1, 3000);
    cr_assert_eq(limit_charged() - charged, MANY * os_page_size());
    for (size_t i = 0; i < MANY; i++)
        alloc_free_fast(blocks[i]);
    cr_assert_eq(limit_charged(), charged);
    expect_whole();
    cr_assert_eq(stats.lone_bytes, 0u);
    cr_assert_geq(stats.guard_bytes, guards + MANY * PAGE_SIZE);
}

// A request whose every step at the kernel fails in turn gets a slot.
Test(lone, where_the_kernel_refuses_a_slot_serves)
{
    start();
    for (size_t waits = 0; waits < 2; waits++) {
        uint32_t failed = 0;
        for (uint32_t n = 1; failed < n; n++) {
            os_fail_nth(n);
            unsigned char *p = alloc_fast(200);
            alloc_free_fast(p);
            if (os_fallible_calls() < n)
                break;
            failed = n;
            os_fail_nth(0);
            expect_whole();
        }
        os_fail_nth(0);
        cr_assert_geq(failed, waits == 0 ? 3u : 2u);
        for (size_t i = 0; i < LONE_WAITING; i++)
            alloc_free_fast(alloc_fast(200));
    }
    for (uint32_t n = 1; n <= 2; n++) {
        for (size_t i = 0; i <= LONE_WAITING; i++) // then the next comes from the page heap
            alloc_free_fast(alloc_fast(n == 1 ? 200 : 9000));
        os_fail_nth(n);
        char *p = alloc_fast(n == 1 ? 9000 : 200);
        os_fail_nth(0);
        cr_assert(p != NULL && !is_lone(p));
        memset(p, 1, 200);
        alloc_free_fast(p);
        expect_whole();
    }
}

Test(lone, a_block_that_the_kernel_does_not_forbid_goes_home)
{
    start();
    char *p = alloc_fast(200);
    memset(p, 1, 200);
    expect_whole();
    uint64_t guards = stats.guard_bytes;
    size_t standing = guard_count();
    os_fail_nth(1);
    alloc_free_fast(p);
    os_fail_nth(0);
    expect_whole();
    cr_assert_eq(stats.guard_bytes, guards - PAGE_SIZE + os_page_size());
    cr_assert_eq(guard_count(), standing - 2);
    cr_assert_eq(stats.live_bytes, 0u);
}

Test(lone, without_guards_in_plenty_fewer_and_fewer_are_chosen)
{
    enum { MANY = 20000 };
    static void *blocks[MANY];
    size_t lone = 0, late = 0;
    start();
    for (size_t i = 0; i < MANY; i++) {
        blocks[i] = alloc_fast(50);
        lone += is_lone(blocks[i]);
        late += i > MANY / 2 && is_lone(blocks[i]);
        cr_assert(is_lone(blocks[i]) || guard_count() > LONE_GUARDS - LONE_PLENTY);
    }
    cr_assert_leq(guard_count(), (size_t)LONE_GUARDS + 1);
    cr_assert_gt(lone, (size_t)LONE_PLENTY / 2);
    cr_assert(late > 0 && late < 2000, "%zu", late);
    expect_whole();
    for (size_t i = 0; i < MANY; i++)
        alloc_free_fast(blocks[i]);
    expect_whole();
    cr_assert_eq(stats.live_bytes, 0u);
    cr_assert(is_lone(alloc_fast(50)));
}

// What large blocks and spans have of the guards counts too, and the rest is left to them.
Test(lone, a_quarter_of_the_guards_is_for_others)
{
    start();
    page_id page = page_heap_take(1, PAGE_SIZE).first;
    while (guard_count() < LONE_GUARDS)
        cr_assert(guard_raise(page, 1));
    for (size_t i = 0; i < 1000; i++)
        cr_assert_not(is_lone(alloc_fast(50)));
}

Test(lone, a_sample_is_one_in_so_many)
{
    enum { MANY = 20000, SAMPLE = 10 };
    size_t lone = 0;
    setenv("TARN_HARDEN_SAMPLE", "10", 1);
    start();
    for (size_t i = 0; i < MANY; i++) {
        void *p = alloc_fast(50);
        lone += is_lone(p);
        alloc_free_fast(p);
    }
    cr_assert(lone > MANY / SAMPLE / 4 * 3 && lone < MANY / SAMPLE / 4 * 5, "%zu", lone);
    expect_whole();
}

Test(lone, a_block_that_changes_its_size_moves_with_its_content)
{
    static const size_t sizes[] = {101, 4096, 5, 60000, 70000, 300, 300, 20};
    start();
    char *p = alloc_fast(100);
    fill(p, 5, 7);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *old = p;
        p = alloc_resize(p, sizes[i]);
        cr_assert(fill_stands(p, 5, 7));
        cr_assert(old != p && (i == 5 || faults(old)), "%zu", i);
        cr_assert(sizes[i] > SIZE_CLASS_MAX || alloc_usable_size(p, "malloc_usable_size") == sizes[i]);
    }
    alloc_free_sized(p, 20);
    expect_whole();
    cr_assert_eq(stats.live_bytes, 0u);
}

Test(lone, at_the_hard_limit_a_block_stays_or_none_is_made)
{
    start();
    char *p = alloc_fast(5000);
    set_hard_limit(1);
    errno = 7;
    cr_assert_eq(alloc_resize(p, 20), p);
    cr_assert_eq(errno, 7);
    cr_assert_null(alloc_resize(p, 6000));
    cr_assert_null(alloc_fast(20));
    cr_assert_eq(errno, ENOMEM);
    set_hard_limit(0);
    alloc_free_sized(p, 20);
    expect_whole();
}

static void free_twice(void *p)
{
    alloc_free_fast(p);
    alloc_free_fast(alloc_fast(100));
    alloc_free_fast(p);
}
static void free_inside(void *p) { alloc_free_fast((char *)p + 16); }
static void free_before(void *p) { alloc_free_fast((char *)p - 16); }
static void free_behind(void *p) { alloc_free_fast((char *)p + 50000); }
static void run_over(void *p)
{
    ((char *)p)[100] = 1;
    alloc_free_fast(p);
}
static void run_over_and_ask(void *p)
{
    ((char *)p)[111] = 0;
    alloc_usable_size(p, "malloc_usable_size");
}
static void run_under(void *p)
{
    ((char *)p)[-1] = 1;
    alloc_free_fast(p);
}
static void run_far_under(void *p)
{
    *(char *)align_down((uintptr_t)p, os_page_size()) = 1;
    alloc_free_fast(p);
}
static void read_freed(void *p)
{
    signal(SIGSEGV, SIG_DFL);
    alloc_free_fast(p);
    exit(*(volatile char *)p);
}

static void expect_line(void (*body)(void *), void *p, const char *defect, const char *more)
{
    char line[160];
    snprintf(line, sizeof line, "tarn: %s of %p%s\n", defect, p, more);
    expect_aborts(body, p, line);
}

Test(lone, misuse_is_found_at_the_call)
{
    char line[160], text[160];
    start();
    char *p = alloc_fast(100), *wide = alloc_fast(60000);
    expect_line(free_twice, p, "double free", "");
    expect_line(run_over, p, "overrun", ", in a slot of 112 bytes");
    expect_line(run_over_and_ask, p, "overrun", ", in a slot of 112 bytes");
    expect_line(run_under, p, "underrun", "");
    expect_line(run_far_under, p, "underrun", "");
    snprintf(line, sizeof line, "tarn: free of %p, which lies inside the block at %p\n", (void *)(p + 16),
             (void *)p);
    expect_aborts(free_inside, p, line);
    snprintf(line, sizeof line, "tarn: free of %p, which lies inside the block at %p\n",
             (void *)(wide + 50000), (void *)wide);
    expect_aborts(free_behind, wide, line);
    snprintf(line, sizeof line, "tarn: free of %p, which tarn did not allocate\n", (void *)(p - 16));
    expect_aborts(free_before, p, line);
    int status = run_in_child(read_freed, p, text, sizeof text);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

// --- Threads and forks.

enum { ROUNDS = 3000, SLOTS = 64 };

static _Atomic(char *) slots[SLOTS];

// Blocks are freed by whoever finds them.
static void *trade(void *seed)
{
    uint64_t state = (uintptr_t)seed;
    for (size_t i = 0; i < ROUNDS; i++) {
        size_t slot = (size_t)(random_step(&state) >> 40) % SLOTS,
               size = 1 + (random_step(&state) >> 40) % 9000;
        char *p = alloc_fast(size);
        *p = p[size - 1] = 7;
        p = exchange_acq_rel(&slots[slot], p);
        cr_assert(p == NULL || *p == 7);
        alloc_free_fast(p);
    }
    return NULL;
}

static void trade_by_many(void)
{
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, trade, (void *)(i + 1)), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

static void clear_slots(void)
{
    for (size_t i = 0; i < SLOTS; i++)
        alloc_free_fast(exchange_relaxed(&slots[i], NULL));
    expect_whole();
    cr_assert_eq(stats.lone_bytes, 0u);
}

Test(lone, any_thread_frees)
{
    start();
    trade_by_many();
    clear_slots();
}

static void use_in_child(void *arg)
{
    (void)arg;
    if (!survey_validate())
        abort();
    trade((void *)77);
    for (size_t i = 0; i < SLOTS; i++)
        alloc_free_fast(exchange_relaxed(&slots[i], NULL));
    if (!survey_validate() || !is_lone(alloc_fast(10)))
        abort();
}

Test(lone, a_child_of_fork_goes_on)
{
    start();
    trade_by_many();
    expect_survives(use_in_child, NULL);
    clear_slots();
}
