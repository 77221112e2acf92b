// SPDX-License-Identifier: MIT
#include "core/hardened.h"

#include "../support/dies.h"
#include "../support/fill.h"
#include "buddy/huge.h"
#include "core/alloc.h"
#include "core/central.h"
#include "core/guard.h"
#include "core/harden.h"
#include "core/options.h"
#include "core/os.h"
#include "core/page_map.h"
#include "core/survey.h"
#include "limited.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

static void start_at(const char *level)
{
    setenv("TARN_HARDEN", level, 1);
    alloc_free_fast(alloc_fast(1));
    cr_assert_eq(harden_level(), (unsigned)(level[0] - '0'));
}

static void skip_without_guards(void)
{
    if (!guard_is_possible())
        cr_skip("the kernel's pages are larger than the heap's");
}

static void expect_whole(void)
{
    struct stats stats;
    cr_assert(survey_validate());
    survey_take(&stats);
    cr_assert_eq(stats.mapped_bytes, stats_accounted(&stats));
}

TestSuite(hardened, .timeout = 60);

Test(hardened, a_freed_slot_is_zero)
{
    start_at("1");
    for (size_t size = 1; size <= SIZE_CLASS_MAX; size = size * 3 + 1) {
        unsigned char *p = alloc_fast(size);
        memset(p, 255, size);
        alloc_free_fast(p);
        cr_assert(fill_is_zero(p, min_size(size, SLOT_CLEARED)), "%zu", size);
        p = alloc_fast(size);
        memset(p, 255, size);
        alloc_free_sized(p, size);
        cr_assert(fill_is_zero(p, min_size(size, SLOT_CLEARED)), "%zu", size);
    }
    expect_whole();
}

// How many of the blocks lie right behind the one before.
static size_t in_a_row(void)
{
    enum { MANY = 400 };
    char *blocks[MANY];
    size_t rows = 0;
    for (size_t i = 0; i < MANY; i++)
        blocks[i] = alloc_fast(64);
    for (size_t i = 1; i < MANY; i++)
        rows += blocks[i] == blocks[i - 1] + 64;
    for (size_t i = 0; i < MANY; i++)
        alloc_free_fast(blocks[i]);
    return rows;
}

Test(hardened, slots_come_in_random_order)
{
    start_at("1");
    cr_assert_lt(in_a_row(), 100u);
}

Test(hardened, without_it_slots_come_in_a_row)
{
    start_at("0");
    cr_assert_gt(in_a_row(), 300u);
}

Test(hardened, large_blocks_stand_between_guards)
{
    start_at("1");
    for (size_t align = 1; align <= (size_t)64 << 20; align *= 16) {
        for (size_t size = SIZE_CLASS_MAX + 1; size < (size_t)80 << 20; size *= 8) {
            char *p = alloc_aligned(align, size);
            size_t holds = alloc_usable_size(p, "malloc_usable_size");
            cr_assert_eq((uintptr_t)p % align, 0u);
            cr_assert_geq(holds, size);
            cr_assert(!guard_is_possible() || (faults(p - 1) && faults(p + holds)), "%zu %zu", align, size);
            p[0] = p[size - 1] = 1;
            alloc_free_fast(p);
        }
    }
    expect_whole();
    alloc_collect();
    cr_assert_eq(guard_count(), 0u);
    expect_whole();
}

Test(hardened, a_large_block_keeps_its_guards_for_the_next_and_begins_with_zeros)
{
    size_t size = 18 * PAGE_SIZE;
    start_at("1");
    skip_without_guards();
    unsigned char *p = alloc_fast(size);
    memset(p, 1, size);
    alloc_free_fast(p);
    cr_assert_eq(guard_count(), 2u);
    unsigned char *q = alloc_fast(size - PAGE_SIZE);
    cr_assert_eq(q, p);
    cr_assert_eq(alloc_usable_size(q, "malloc_usable_size"), size);
    cr_assert(fill_is_zero(q, HARDENED_ZEROED));
    alloc_free_sized(q, size - PAGE_SIZE);
    q = alloc_zeroed(1, size);
    cr_assert(q == p && fill_is_zero(q, size));
    alloc_free_sized(q, size);
    expect_whole();
}

// Sizes come and go; once there was a block of each, none needs the kernel.
Test(hardened, blocks_of_many_sizes_keep_their_guards)
{
    enum { LEAST = 5, MOST = 32 };
    size_t guards = 0;
    start_at("1");
    skip_without_guards();
    for (size_t round = 0; round < 3; round++) {
        for (size_t pages = LEAST; pages <= MOST; pages++)
            alloc_free_fast(alloc_fast(pages * PAGE_SIZE));
        cr_assert(round == 0 || guards == guard_count());
        guards = guard_count();
    }
    cr_assert_eq(guards, 2u * (10 + 8 + 1)); // one size for each of 5 to 14 pages, eight up to 30, one more
}

Test(hardened, guards_that_wait_stay_when_the_heap_grows)
{
    enum { MANY = 100 };
    start_at("1");
    skip_without_guards();
    void *blocks[MANY];
    alloc_free_fast(alloc_fast(18 * PAGE_SIZE));
    for (size_t i = 0; i < MANY; i++)
        blocks[i] = alloc_fast(32 * PAGE_SIZE);
    cr_assert_eq(guard_count(), 2u * (MANY + 1));
    for (size_t i = 0; i < MANY; i++)
        alloc_free_fast(blocks[i]);
    expect_whole();
}

Test(hardened, a_large_block_that_changes_its_size_keeps_its_content)
{
    static const size_t sizes[] = {70000, 300000, 301000, 40000000, 100000, 1000, 90000, 20};
    start_at("1");
    unsigned char *p = alloc_fast(100);
    fill(p, 20, 7);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        p = alloc_resize(p, sizes[i]);
        cr_assert(fill_stands(p, 20, 7));
        p[sizes[i] - 1] = 1;
        fill(p, 20, 7);
    }
    alloc_free_sized(p, 20);
    expect_whole();
}

Test(hardened, a_large_block_grows_in_place_and_its_guard_with_it)
{
    size_t size = 18 * PAGE_SIZE, larger = 30 * PAGE_SIZE;
    start_at("1");
    skip_without_guards();
    unsigned char *p = alloc_fast(size);
    memset(p, 7, size);
    cr_assert_eq(alloc_resize(p, larger), p);
    cr_assert_eq(alloc_usable_size(p, "malloc_usable_size"), larger);
    cr_assert(faults(p - 1) && faults(p + larger) && guard_count() == 2);
    cr_assert(p[size - 1] == 7 && fill_is_zero(p + size, larger - size));
    memset(p, 7, larger);
    alloc_free_sized(p, larger);
    cr_assert_eq(alloc_fast(larger), p);
    alloc_free_sized(p, larger);
    expect_whole();
}

Test(hardened, a_large_block_moves_to_one_that_waits_rather_than_grow)
{
    size_t size = 18 * PAGE_SIZE, larger = 28 * PAGE_SIZE;
    start_at("1");
    skip_without_guards();
    unsigned char *p = alloc_fast(size), *room = alloc_fast(larger), *waits = alloc_fast(larger);
    alloc_free_fast(room);
    alloc_collect();
    alloc_free_fast(waits);
    cr_assert_eq(alloc_resize(p, larger), waits);
    cr_assert_eq(guard_count(), 4u);
    alloc_free_fast(waits);
    expect_whole();
}

Test(hardened, a_large_block_whose_guard_cannot_move_moves_itself)
{
    size_t size = 18 * PAGE_SIZE, larger = 30 * PAGE_SIZE;
    start_at("1");
    skip_without_guards();
    unsigned char *p = alloc_fast(size);
    fill(p, size, 7);
    os_fail_nth(1);
    unsigned char *q = alloc_resize(p, larger);
    os_fail_nth(0);
    cr_assert(q != NULL && q != p && fill_stands(q, size, 7));
    alloc_free_fast(q);
    alloc_collect();
    cr_assert_eq(guard_stuck_pages(), 0u);
    expect_whole();
}

Test(hardened, without_guards_a_large_block_is_a_block_all_the_same)
{
    start_at("1");
    for (uint32_t n = 1; n <= 3; n++) {
        alloc_collect();
        os_fail_nth(n);
        char *p = alloc_fast(500000);
        os_fail_nth(0);
        cr_assert_not_null(p);
        memset(p, 1, 500000);
        expect_whole();
        alloc_free_fast(p);
        expect_whole();
    }
}

static void free_inside(void *p) { alloc_free_fast((char *)p + 16); }
static void free_beside(void *p) { alloc_free_fast((char *)p + PAGE_SIZE); }
static void free_twice(void *p)
{
    alloc_free_fast(p);
    alloc_free_fast(p);
}

static void expect_double_free(void *p)
{
    char line[128];
    snprintf(line, sizeof line, "tarn: double free of %p\n", p);
    expect_aborts(free_twice, p, line);
}

// --- Blocks of more than a range.

static void trust_blocks_to_be_filled(void)
{
    huge_learn(true);
    huge_learn(true);
}

Test(hardened, larger_blocks_begin_where_a_huge_page_can)
{
    start_at("1");
    skip_without_guards();
    for (size_t pages = HUGE_PAGES; pages < 3 * ZONE_PAGES; pages = pages * 5 / 4) {
        char *p = alloc_fast(pages * PAGE_SIZE);
        cr_assert_eq(page_of(p).n % HUGE_PAGES, 0u);
        cr_assert(faults(p - 1) && faults(p + alloc_usable_size(p, "malloc_usable_size")));
        alloc_free_fast(p);
    }
    expect_whole();
}

// Returns where a block waits that held memory.
static char *leave_waiting(size_t size)
{
    start_at("1");
    skip_without_guards();
    trust_blocks_to_be_filled();
    char *p = alloc_fast(size);
    memset(p, 7, size);
    alloc_free_fast(p);
    return p;
}

Test(hardened, a_larger_one_that_waits_is_cut)
{
    size_t size = 2 * HUGE_PAGES * PAGE_SIZE, larger = 3 * HUGE_PAGES * PAGE_SIZE;
    char *p = leave_waiting(larger);
    cr_assert_eq(alloc_fast(size), p);
    cr_assert_eq(alloc_usable_size(p, "malloc_usable_size"), size);
    cr_assert(faults(p - 1) && faults(p + size) && guard_count() == 2);
    cr_assert_eq(p[size - 1], 7, "it holds memory");
    memset(p, 8, size);
    alloc_free_fast(p);
    cr_assert_eq(alloc_fast(size), p);
    alloc_free_fast(p);
    expect_whole();
}

Test(hardened, one_that_cannot_be_cut_waits_on)
{
    size_t size = 2 * HUGE_PAGES * PAGE_SIZE, larger = 3 * HUGE_PAGES * PAGE_SIZE;
    char *p = leave_waiting(larger);
    os_fail_nth(1);
    char *q = alloc_fast(size);
    os_fail_nth(0);
    cr_assert_neq(q, p);
    cr_assert_eq(alloc_fast(larger), p);
    alloc_free_fast(p);
    alloc_free_fast(q);
    expect_whole();
}

// So that the block cannot grow where it stands.
static unsigned char *make_that_moves(size_t size)
{
    unsigned char *p = alloc_fast(size);
    page_id end = {page_of(p).n + (uint32_t)(alloc_usable_size(p, "malloc_usable_size") / PAGE_SIZE) + 1};
    while (page_of(alloc_fast(SIZE_CLASS_MAX)).n < end.n)
        ;
    fill(p, size, 7);
    return p;
}

static void expect_a_move(const char *level)
{
    size_t size = 5 * HUGE_PAGES * PAGE_SIZE + 12345, larger = 8 * HUGE_PAGES * PAGE_SIZE;
    start_at(level);
    skip_without_guards();
    if (!page_heap_can_move())
        cr_skip("the kernel moves nothing");
    unsigned char *p = make_that_moves(size);
    size_t guards = guard_count();
    unsigned char *q = alloc_resize(p, larger);
    cr_assert(q != p && fill_stands(q, size, 7));
    cr_assert_leq(os_resident_pages(p, align_down(size, HUGE_PAGES * PAGE_SIZE)), 1u, "nothing was copied");
    cr_assert_eq(guard_count(), guards, "one pair came, one went");
    cr_assert(faults(q - 1) && faults(q + alloc_usable_size(q, "malloc_usable_size")));
    cr_assert(fill_is_zero(p, HARDENED_ZEROED));
    alloc_free_fast(q);
    expect_whole();
}

Test(hardened, a_block_that_grows_moves_without_a_copy) { expect_a_move("1"); }
Test(hardened, so_it_does_with_canaries) { expect_a_move("2"); }

Test(hardened, a_block_that_moved_is_found_when_it_is_freed_again)
{
    size_t size = 5 * HUGE_PAGES * PAGE_SIZE;
    start_at("2");
    skip_without_guards();
    unsigned char *p = make_that_moves(size);
    page_id first = page_of(p);
    const void *site = (const void *)(uintptr_t)start_at;
    cr_assert_neq(alloc_resize_elsewhere(p, 2 * size, site), p);
    cr_assert_eq(hardened_large_sites(first).freed, site);
    expect_double_free(p);
}

Test(hardened, where_the_kernel_refuses_its_content_is_copied_and_the_old_place_cleared)
{
    size_t size = 5 * HUGE_PAGES * PAGE_SIZE + 12345, larger = 8 * HUGE_PAGES * PAGE_SIZE;
    start_at("1");
    skip_without_guards();
    for (uint32_t nth = 1; nth < 16; nth++) {
        unsigned char *p = make_that_moves(size);
        os_fail_run(nth, 3);
        unsigned char *q = alloc_resize(p, larger);
        os_fail_nth(0);
        cr_assert(q != NULL && fill_stands(q, size, 7), "%u", nth);
        cr_assert(q == p || fill_is_zero(p, HARDENED_ZEROED), "%u", nth);
        alloc_free_fast(q);
        alloc_collect(); // the next one gets a place without memory
        cr_assert(survey_validate());
    }
}

Test(hardened, misuse_is_found_at_the_call)
{
    start_at("1");
    char line[128];
    char *small = alloc_fast(100), *large = alloc_fast(100000);
    snprintf(line, sizeof line, "tarn: free of %p, which lies inside the block at %p\n", (void *)(small + 16),
             (void *)small);
    expect_aborts(free_inside, small, line);
    snprintf(line, sizeof line, "tarn: free of %p, which lies inside the block at %p\n", (void *)(large + 16),
             (void *)large);
    expect_aborts(free_inside, large, line);
    snprintf(line, sizeof line, "tarn: free of %p, which lies inside the block at %p\n",
             (void *)(large + PAGE_SIZE), (void *)large);
    expect_aborts(free_beside, large, line);
    expect_double_free(small);
    expect_double_free(large);
}

// --- With canaries.

Test(hardened, a_block_with_canary_holds_what_was_asked_for)
{
    start_at("2");
    for (size_t size = 0; size <= SIZE_CLASS_MAX + 100; size += size < 300 ? 1 : 97) {
        unsigned char *p = alloc_fast(size);
        cr_assert(size > SIZE_CLASS_MAX - 8 || alloc_usable_size(p, "malloc_usable_size") == size, "%zu",
                  size);
        memset(p, 255, size);
        p = alloc_resize(p, size + size / 3 + 1);
        memset(p, 255, size + size / 3 + 1);
        alloc_free_sized(p, size + size / 3 + 1);
        p = alloc_zeroed(1, size);
        cr_assert(fill_is_zero(p, size));
        alloc_free_fast(p);
        p = alloc_aligned(256, size);
        cr_assert_eq((uintptr_t)p % 256, 0u);
        memset(p, 255, size);
        alloc_free_aligned_sized(p, 256, size);
    }
    expect_whole();
}

Test(hardened, a_freed_slot_seldom_comes_back_at_once)
{
    start_at("2");
    size_t at_once = 0;
    for (size_t i = 0; i < 1000; i++) {
        void *p = alloc_fast(100);
        alloc_free_fast(p);
        void *q = alloc_fast(100);
        at_once += p == q;
        alloc_free_fast(q);
    }
    cr_assert_lt(at_once, 20u);
}

Test(hardened, the_quarantine_goes_home_with_all_else)
{
    start_at("2");
    struct stats stats;
    for (size_t i = 0; i < 10000; i++)
        alloc_free_fast(alloc_fast(i % 3000));
    survey_take(&stats);
    cr_assert_eq(stats.live_bytes, 0u);
    expect_whole();
    alloc_collect();
    survey_take(&stats);
    cr_assert_eq(stats.live_bytes + stats.cached_thread_bytes + stats.cached_batch_bytes, 0u);
    cr_assert_eq(stats.guard_bytes, 0u);
    expect_whole();
}

// The first 128, and of the others a quarter; this many lie within so much of it all but never.
Test(hardened, of_many_spans_a_share_has_a_guard)
{
    enum { SPANS = 2000, FIRST = 128, BEYOND = (SPANS - FIRST) / 4 };
    static char *blocks[8 * SPANS];
    start_at("2");
    skip_without_guards();
    for (size_t i = 0; i < 8 * SPANS; i++) {
        blocks[i] = alloc_fast(8000);
        memset(blocks[i], 255, 8000);
    }
    cr_assert_gt(guard_count(), FIRST + BEYOND * 3 / 4);
    cr_assert_lt(guard_count(), FIRST + BEYOND * 5 / 4);
    for (size_t i = 0; i < 8 * SPANS; i++)
        alloc_free_sized(blocks[i], 8000);
    tcache_flush();
    expect_whole();
    for (size_t i = 0; i < 8 * SPANS; i++) // spans with guards and spans without, both used before
        blocks[i] = alloc_fast(4000);
    expect_whole();
}

Test(hardened, what_waits_in_the_quarantine_goes_home_with_the_cache)
{
    enum { MANY = 2000 };
    void *blocks[MANY];
    struct stats stats;
    start_at("2");
    for (size_t i = 0; i < MANY; i++)
        blocks[i] = alloc_fast(20 + i % 900);
    for (size_t i = 0; i < MANY; i++)
        alloc_free_fast(blocks[i]);
    alloc_collect();
    survey_take(&stats);
    cr_assert_eq(stats.live_bytes + stats.cached_thread_bytes + stats.cached_batch_bytes, 0u);
    expect_whole();
}

Test(hardened, a_guard_stands_behind_each_of_the_first_spans)
{
    start_at("2");
    char *p = alloc_fast(50000);
    char *end = (char *)page_address(span_first_page(page_of(p))) +
                size_class_table[entry_class(page_entry(page_of(p)))].pages * PAGE_SIZE;
    cr_assert(!guard_is_possible() || faults(end));
    cr_assert_not(faults(end - 1));
}

// A span of the same class takes the slots as they are, one of another gets zeros.
Test(hardened, a_span_that_went_home_keeps_its_guard)
{
    enum { SLOT = 500, OTHER = 300 };
    start_at("2");
    skip_without_guards();
    char *p = alloc_fast(SLOT);
    page_id first = span_first_page(page_of(p));
    memset(p, 255, SLOT);
    alloc_free_fast(p);
    size_t guards = guard_count();
    tcache_press();
    tcache_flush();
    central_trim(entry_class(page_entry(first)), true);
    cr_assert_eq(page_entry(first), 0u, "it went home");
    cr_assert_eq(guard_count(), guards);
    char *again = alloc_fast(OTHER);
    cr_assert_eq(span_first_page(page_of(again)).n, first.n);
    cr_assert_eq(guard_count(), guards);
    cr_assert(faults((char *)page_address((page_id){first.n + 1})));
    alloc_free_fast(again);
    expect_whole();
}

Test(hardened, large_blocks_that_were_filled_earn_huge_pages)
{
    enum { BLOCKS = 3 };
    const size_t size = (2 * HUGE_PAGES + HUGE_PAGES / 8) * PAGE_SIZE + 1; // its block is larger
    char *blocks[BLOCKS];
    start_at("1");
    if (os_page_size() != 4096)
        cr_skip("no huge pages of 2 MiB");
    huge_learn(false); // no credit
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = alloc_fast(size);
        memset(blocks[i], 1, size);
    }
    for (int i = 0; i < BLOCKS; i++)
        alloc_free_fast(blocks[i]);
    cr_assert(huge_blocks_are_filled());
}

Test(hardened, a_block_with_canary_shrinks_also_without_memory)
{
    start_at("2");
    char *p = alloc_fast(60000);
    set_hard_limit(PAGE_SIZE);
    errno = 7;
    char *q = alloc_resize(p, 20);
    cr_assert_eq(errno, 7);
    cr_assert_eq(alloc_usable_size(q, "malloc_usable_size"), 20u);
    alloc_free_sized(q, 20);
}

Test(hardened, a_large_block_that_could_not_become_a_small_one_is_freed_by_its_size)
{
    start_at("2");
    void *p = alloc_fast(100000);
    set_hard_limit(1);
    cr_assert_eq(alloc_resize(p, 51630), p, "there is no memory to move it to");
    set_hard_limit(0);
    cr_assert_geq(alloc_usable_size(p, "malloc_usable_size"), 100000u);
    alloc_free_sized(p, 51630);
    expect_whole();
}
