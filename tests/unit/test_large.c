// SPDX-License-Identifier: MIT
// Includes the source to know which threads share a place.
#include "core/large.c"

#include "core/init.h"
#include "core/options.h"
#include "limited.h"
#include <criterion/criterion.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void setup(void) { cr_assert(heap_start()); }
TestSuite(large, .init = setup);

static char *make(size_t size, size_t align)
{
    bool clean;
    char *p = large_alloc(size, align, &clean);
    cr_assert_not_null(p);
    return p;
}

Test(large, sizes_are_rounded_up_to_pages)
{
    static const size_t sizes[] = {0, 1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, ZONE_SIZE, ZONE_SIZE + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *p = make(sizes[i], 1);
        size_t pages = sizes[i] == 0 ? 1 : pages_for(sizes[i]);
        cr_assert_eq(large_size(page_of(p)), pages * PAGE_SIZE);
        cr_assert_eq(page_heap_counts().used_pages, pages);
        p[0] = p[pages * PAGE_SIZE - 1] = 1;
        large_free(page_of(p));
        cr_assert_eq(page_entry(page_of(p)), 0u);
        cr_assert_eq(page_heap_counts().used_pages, 0u);
    }
}

Test(large, alignment_up_to_a_gibibyte)
{
    for (size_t align = 1; align <= (size_t)1 << 30; align *= 2) {
        char *p = make(100000, align);
        cr_assert_eq((uintptr_t)p % align, 0u, "%p by %zu", (void *)p, align);
        p[0] = p[99999] = 1;
        large_free(page_of(p));
    }
    cr_assert(page_heap_validate());
}

Test(large, clean_means_zero)
{
    bool clean;
    unsigned char *p = large_alloc(100000, 1, &clean);
    cr_assert(clean);
    memset(p, 255, 100000);
    large_free(page_of(p));
    cr_assert_eq(large_alloc_recent(100000), p);
    page_heap_give(page_of(p), pages_for(100000));
    p = large_alloc(100000, 1, &clean);
    for (size_t i = 0; clean && i < 100000; i++)
        cr_assert_eq(p[i], 0);
    cr_assert_not(clean);
}

Test(large, shrinking_stays_and_frees_the_tail)
{
    char *p = make(10 * PAGE_SIZE, 1);
    memset(p, 7, 10 * PAGE_SIZE);
    for (size_t pages = 9; pages >= 1; pages--) {
        cr_assert(large_resize(page_of(p), pages * PAGE_SIZE - 5));
        cr_assert_eq(large_size(page_of(p)), pages * PAGE_SIZE);
        cr_assert_eq(page_heap_counts().used_pages, pages);
        cr_assert_eq(p[pages * PAGE_SIZE - 1], 7);
    }
    cr_assert(page_heap_validate());
}

Test(large, growing_stays_where_the_neighbour_is_free)
{
    char *p = make(2 * PAGE_SIZE, 1);
    memset(p, 7, 2 * PAGE_SIZE);
    cr_assert(large_resize(page_of(p), 50 * PAGE_SIZE));
    cr_assert_eq(large_size(page_of(p)), 50 * PAGE_SIZE);
    cr_assert_eq(page_heap_counts().used_pages, 50u);
    cr_assert_eq(p[2 * PAGE_SIZE - 1], 7);
    memset(p, 8, 50 * PAGE_SIZE);
    cr_assert(page_heap_validate());
    large_free(page_of(p));
    cr_assert_eq(page_heap_counts().used_pages, 0u);
}

Test(large, growing_fails_where_the_neighbour_is_in_use)
{
    char *p = make(PAGE_SIZE, 1), *q = make(PAGE_SIZE, 1);
    cr_assert_eq(q, p + PAGE_SIZE);
    cr_assert_not(large_resize(page_of(p), 2 * PAGE_SIZE));
    cr_assert_eq(large_size(page_of(p)), PAGE_SIZE);
    cr_assert(page_heap_validate());
    large_free(page_of(q));
    cr_assert(large_resize(page_of(p), 2 * PAGE_SIZE));
}

Test(large, the_hard_limit_holds)
{
    bool clean;
    set_hard_limit((size_t)64 << 20);
    cr_assert_null(large_alloc((size_t)65 << 20, 1, &clean));
    char *p = make((size_t)20 << 20, 1);
    cr_assert_not(large_resize(page_of(p), (size_t)65 << 20));
    cr_assert_null(large_alloc((size_t)50 << 20, 1, &clean));
    large_free(page_of(p));
    large_free(page_of(make((size_t)50 << 20, 1)));
}

Test(large, blocks_larger_than_a_zone_shrink_and_go_home)
{
    char *p = make(3 * ZONE_SIZE + 5 * PAGE_SIZE, 1);
    p[0] = p[3 * ZONE_SIZE] = 1;
    cr_assert(large_resize(page_of(p), ZONE_SIZE + PAGE_SIZE));
    cr_assert_eq(page_heap_counts().used_pages, ZONE_PAGES + 1);
    cr_assert(page_heap_validate());
    cr_assert(large_resize(page_of(p), PAGE_SIZE));
    cr_assert_eq(page_heap_counts().used_pages, 1u);
    large_free(page_of(p));
    cr_assert_eq(page_heap_counts().used_pages, 0u);
    cr_assert(page_heap_validate());
}

// --- Blocks that move.

static void skip_other_kernels(void)
{
    if (os_page_size() != 4096)
        cr_skip("the kernel's huge pages are not of 2 MiB");
}

#define MIB ((size_t)1 << 20)

static void fill_block(char *p, size_t size)
{
    for (size_t at = 0; at < size; at += 4096)
        p[at] = (char)(at / 4096 % 251 + 1);
}

static bool is_filled_so(const char *p, size_t size)
{
    for (size_t at = 0; at < size; at += 4096)
        if (p[at] != (char)(at / 4096 % 251 + 1))
            return false;
    return true;
}

static void skip_where_nothing_moves(void)
{
    if (!page_heap_can_move())
        cr_skip("the kernel moves nothing");
}

static void choose_huge(const char *text)
{
    store_relaxed(&options.thp, text);
    huge_init((void *)sealed.map.base, sealed.map.pages * PAGE_SIZE);
}

// What moves leaves nothing behind: the heap is as large as its content, and counts it so.
static void expect_moves(size_t size, size_t larger)
{
    char *p = make(size, 1), *q = make(larger, 1);
    fill_block(p, size);
    page_id from = page_of(p);
    cr_assert(large_move(from, page_of(q)));
    cr_assert_eq(page_entry(from), 0u);
    cr_assert(is_filled_so(q, size));
    cr_assert_eq(page_heap_counts().used_pages, pages_for(larger));
    cr_assert_leq(page_heap_counts().dirty_pages, HUGE_PAGES, "a part of a range may be copied");
    cr_assert(page_heap_validate());
    large_free(page_of(q));
    cr_assert_eq(page_heap_counts().used_pages, 0u);
    page_heap_purge();
    cr_assert(page_heap_validate());
}

Test(large, blocks_move_without_a_copy)
{
    skip_where_nothing_moves();
    static const size_t sizes[] = {
        2 * MIB, 3 * MIB, 7 * MIB + 5, 31 * MIB, ZONE_SIZE, ZONE_SIZE + 1, 3 * ZONE_SIZE + 5 * MIB};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        expect_moves(sizes[i], sizes[i] + sizes[i] / 2);
}

Test(large, blocks_with_huge_pages_move_too)
{
    choose_huge("always");
    skip_where_nothing_moves();
    for (size_t size = 2 * MIB; size < 80 * MIB; size += 9 * MIB + 17 * 4096)
        expect_moves(size, size + 3 * MIB);
}

// The kernel's flags of the mapping that p lies in.
static bool has_flag(const char *p, const char *flag)
{
    bool inside = false, found = false;
    uintptr_t from, to, at = (uintptr_t)p;
    FILE *maps = fopen("/proc/self/smaps", "r");
    cr_assert_not_null(maps);
    for (char line[512]; fgets(line, sizeof line, maps) != NULL;) {
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
            inside = from <= at && at < to;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            found = strstr(line, flag) != NULL;
    }
    fclose(maps);
    return found;
}

Test(large, what_the_kernel_was_told_about_a_place_holds_for_what_comes_there)
{
    skip_where_nothing_moves();
    skip_other_kernels();
    choose_huge("always");
    char *p = make(6 * MIB, 1);
    fill_block(p, 6 * MIB);
    choose_huge("never");
    os_advise_huge(p, 6 * MIB, true);
    char *q = make(8 * MIB, 1);
    cr_assert(has_flag(p, " hg") && has_flag(q, " nh"));
    cr_assert(large_move(page_of(p), page_of(q)));
    cr_assert(has_flag(q, " nh") && has_flag(q + 5 * MIB, " nh"));
    choose_huge("always");
    char *r = make(9 * MIB, 1);
    cr_assert(has_flag(r, " hg"));
    cr_assert(large_move(page_of(q), page_of(r)));
    cr_assert(has_flag(r, " hg") && has_flag(r + 7 * MIB, " hg"));
    cr_assert(is_filled_so(r, 6 * MIB));
}

Test(large, what_is_free_behind_a_block_moves_with_it)
{
    skip_where_nothing_moves();
    char *p = make(3 * MIB, 1), *q = make(6 * MIB, 1);
    fill_block(p, 3 * MIB);
    cr_assert(large_move(page_of(p), page_of(q)));
    cr_assert_eq(os_resident_pages(p, 4 * MIB), 0u);
    cr_assert_eq(page_heap_counts().dirty_pages, 0u);
    cr_assert(is_filled_so(q, 3 * MIB));
}

Test(large, what_is_used_behind_a_block_stays)
{
    skip_where_nothing_moves();
    char *p = make(4 * MIB, 1), *q = make(6 * MIB, 1);
    fill_block(p, 4 * MIB);
    cr_assert(large_resize(page_of(p), 3 * MIB));
    char *behind = make(MIB, 1);
    cr_assert_eq(behind, p + 3 * MIB);
    fill_block(behind, MIB);
    cr_assert(large_move(page_of(p), page_of(q)));
    cr_assert(is_filled_so(q, 3 * MIB) && is_filled_so(behind, MIB));
    cr_assert_eq(os_resident_pages(p, 2 * MIB), 0u);
    cr_assert_eq(page_heap_counts().dirty_pages, MIB / PAGE_SIZE);
    cr_assert(page_heap_validate());
}

Test(large, small_blocks_and_places_that_hold_memory_are_copied_to)
{
    skip_where_nothing_moves();
    char *small = make(MIB - PAGE_SIZE, 1), *p = make(4 * MIB, 1), *q = make(8 * MIB, 1);
    cr_assert_not(large_move(page_of(small), page_of(q)));
    fill_block(q, 3 * MIB);
    cr_assert_not(large_move(page_of(p), page_of(q)));
    large_free(page_of(p));
}

Test(large, moves_that_fail_lose_nothing)
{
    skip_where_nothing_moves();
    for (uint32_t nth = 1; nth < 12; nth++) {
        char *p = make(20 * MIB, 1), *q = make(30 * MIB, 1);
        fill_block(p, 20 * MIB);
        os_fail_nth(nth);
        bool moved = large_move(page_of(p), page_of(q));
        os_fail_nth(0);
        cr_assert(moved && is_filled_so(q, 20 * MIB));
        cr_assert(page_heap_validate());
        large_free(page_of(q));
        page_heap_purge();
    }
}

Test(large, a_move_frees_as_much_as_it_takes_below_a_limit)
{
    skip_where_nothing_moves();
    set_hard_limit(64 * MIB);
    for (int i = 0; i < 10; i++) {
        char *p = make(20 * MIB, 1), *q = make(24 * MIB, 1);
        fill_block(p, 20 * MIB);
        cr_assert(large_move(page_of(p), page_of(q)));
        cr_assert(page_heap_validate());
        char *more = make(20 * MIB, 1);
        large_free(page_of(more));
        large_free(page_of(q));
        page_heap_purge(); // else the next place may hold memory
    }
}

// --- What blocks teach about huge pages.

#define BLOCK ((size_t)8 << 20)

Test(large, blocks_that_were_filled_earn_huge_pages)
{
    skip_other_kernels();
    huge_learn(false); // no credit
    char *blocks[4];
    for (int i = 0; i < 3; i++) {
        cr_assert_not(huge_pays(HUGE_PAGES, 0, false));
        blocks[i] = make(BLOCK, 1);
        memset(blocks[i], 1, BLOCK);
    }
    cr_assert(huge_pays(HUGE_PAGES, 0, false), "each looks at the one before");
    for (int i = 0; i < 3; i++)
        large_free(page_of(blocks[i]));
    cr_assert(huge_pays(HUGE_PAGES, 0, false));
}

// arg is the other thread's place: a thread that shares it makes no block.
static void *make_block_elsewhere(void *arg) { return watched_here() == arg ? NULL : make(BLOCK, 1); }

// Each further stack is longer, so that none is used again, and something is left in its place: so both ends
// lie elsewhere.
static void make_block_in_thread(void)
{
    void *block = NULL;
    for (size_t i = 1; block == NULL && i <= 32; i++) {
        size_t size = ((size_t)1 << 18) + i * (36 << 10);
        pthread_attr_t stack;
        pthread_t other;
        pthread_attr_init(&stack);
        pthread_attr_setstacksize(&stack, size);
        cr_assert_eq(pthread_create(&other, &stack, make_block_elsewhere, watched_here()), 0);
        cr_assert_eq(pthread_join(other, &block), 0);
        pthread_attr_destroy(&stack);
        cr_assert_not_null(os_map(size));
    }
    cr_assert_not_null(block);
}

Test(large, a_thread_looks_at_its_own_block)
{
    skip_other_kernels();
    huge_learn(false); // no credit
    for (int i = 0; i < 2; i++) {
        char *mine = make(BLOCK, 1);
        cr_assert_not(huge_pays(HUGE_PAGES, 0, false));
        make_block_in_thread();
        memset(mine, 1, BLOCK);
    }
    make(BLOCK, 1);
    cr_assert(huge_pays(HUGE_PAGES, 0, false));
}

Test(large, a_block_that_was_written_at_its_ends_alone_takes_the_trust_away)
{
    skip_other_kernels();
    char *sparse = make(BLOCK, 1);
    huge_learn(true);
    huge_learn(true);
    cr_assert(huge_pays(HUGE_PAGES, 0, false));
    sparse[0] = sparse[BLOCK - 1] = 1;
    large_free(page_of(sparse));
    cr_assert_not(huge_pays(HUGE_PAGES, 0, false));
}

Test(large, a_block_of_used_memory_teaches_nothing)
{
    skip_other_kernels();
    huge_learn(false); // no credit
    char *p = make(BLOCK, 1);
    memset(p, 1, BLOCK);
    large_free(page_of(p));
    cr_assert_not(huge_pays(HUGE_PAGES, 0, false), "one is not enough");
    p = large_alloc_recent(BLOCK);
    cr_assert_not_null(p);
    large_free(page_of(p));
    cr_assert_not(huge_pays(HUGE_PAGES, 0, false), "the same one again");
}

// --- Zeros in a block that may hold memory. It has so many of the kernel's pages.

enum { ZEROED = 384 }; // too few for huge ones

static size_t page_size(void) { return os_page_size(); }

// Freed and taken again, with something in each of those pages of which `step` is the distance.
static char *used_block(size_t step)
{
    char *p = make(ZEROED * page_size(), 1);
    for (size_t i = 0; i < ZEROED; i += step)
        memset(p + i * page_size(), 7, page_size());
    large_free(page_of(p));
    cr_assert_eq(large_alloc_recent(ZEROED * page_size()), p);
    return p;
}

static void expect_zeros(const char *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        cr_assert_eq(p[i], 0, "at %zu", i);
}

static size_t resident(const char *p) { return os_resident_pages(p, ZEROED * page_size()); }

Test(large, zeros_bring_no_memory_to_what_was_left_alone)
{
    char *p = used_block(ZEROED / 4);
    large_zero(p, ZEROED * page_size());
    cr_assert_eq(resident(p), 4u);
    expect_zeros(p, ZEROED * page_size());
}

Test(large, scattered_places_do_not_add_up)
{
    char *p = used_block(ZEROED / 32);
    large_zero(p, ZEROED * page_size());
    cr_assert_eq(resident(p), 0u);
    expect_zeros(p, ZEROED * page_size());
}

Test(large, what_is_mostly_in_use_is_filled)
{
    char *p = used_block(2);
    large_zero(p, ZEROED * page_size());
    cr_assert_eq(resident(p), (size_t)ZEROED);
    expect_zeros(p, ZEROED * page_size());
    memset(p, 7, ZEROED * page_size());
    large_zero(p, ZEROED * page_size() - 5); // now it is known to be resident as a whole
    expect_zeros(p, ZEROED * page_size() - 5);
    cr_assert_eq(p[ZEROED * page_size() - 5], 7);
}

// What the kernel does not give back it keeps as it was.
Test(large, zeros_where_nothing_goes_back)
{
    char *p = used_block(ZEROED / 32);
    os_fail_nth(1);
    large_zero(p, ZEROED * page_size());
    os_fail_nth(0);
    expect_zeros(p, ZEROED * page_size());
}
