// SPDX-License-Identifier: MIT
#include "core/hardened.h"

#include "../support/dies.h"
#include "../support/fill.h"
#include "core/alloc.h"
#include "core/guard.h"
#include "core/harden.h"
#include "core/os.h"
#include "core/survey.h"
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

static void start_at(const char *level)
{
    setenv("TARN_HARDEN", level, 1);
    alloc_free_fast(alloc_fast(1));
    cr_assert_eq(harden_level(), (unsigned)(level[0] - '0'));
}

static void expect_whole(void)
{
    struct stats stats;
    cr_assert(survey_validate());
    survey_take(&stats);
    cr_assert_eq(stats.mapped_bytes, stats_accounted(&stats));
}

static void touch(void *p) { *(volatile char *)p = 1; }

static bool faults(void *p)
{
    char text[64];
    int status = run_in_child(touch, p, text, sizeof text);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

TestSuite(hardened, .timeout = 60);

Test(hardened, a_freed_slot_is_zero)
{
    start_at("1");
    for (size_t size = 1; size <= SIZE_CLASS_MAX; size = size * 3 + 1) {
        unsigned char *p = alloc_fast(size);
        memset(p, 255, size);
        alloc_free_fast(p);
        cr_assert(fill_is_zero(p, min_size(size, HARDENED_SLOT_ZEROED)), "%zu", size);
        p = alloc_fast(size);
        memset(p, 255, size);
        alloc_free_sized(p, size);
        cr_assert(fill_is_zero(p, min_size(size, HARDENED_SLOT_ZEROED)), "%zu", size);
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
            cr_assert(holds >= size && faults(p - 1) && faults(p + holds), "%zu %zu", align, size);
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
    start_at("1");
    unsigned char *p = alloc_fast(200000);
    memset(p, 1, 200000);
    alloc_free_fast(p);
    cr_assert_eq(guard_count(), 2u);
    unsigned char *q = alloc_fast(190000);
    cr_assert_eq(q, p);
    cr_assert(fill_is_zero(q, HARDENED_ZEROED));
    alloc_free_fast(q);
    q = alloc_zeroed(1, 200000);
    cr_assert(fill_is_zero(q, 200000));
    alloc_free_sized(q, 200000);
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
