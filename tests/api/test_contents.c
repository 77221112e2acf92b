// SPDX-License-Identifier: MIT
// What is in a block: zeros after calloc, all of the usable size for the caller, nothing of a neighbour's.

#include "../support/fill.h"
#include "../support/names.h"

#include <criterion/criterion.h>
#include <stdint.h>

static const size_t grid[] = {1,      8,     16,    24,    100,   128,   500,       1000,    2000,
                              4096,   10000, 16384, 32768, 65536, 70000, 256 << 10, 1 << 20, (2 << 20) + 5,
                              9 << 20};
enum { GRID = sizeof grid / sizeof grid[0], MOST = 1000 };
static unsigned char *blocks[MOST];

TestSuite(contents, .timeout = 120);

// Enough blocks that they come from several spans, few enough that large ones stay cheap.
static size_t count_for(size_t size)
{
    size_t count = ((size_t)10 << 20) / size + 1;
    return count < MOST ? count : MOST;
}

static void dirty(size_t size, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cr_assert_not_null(blocks[i] = mem_malloc(size));
        memset(blocks[i], 0xA5, mem_usable_size(blocks[i]));
    }
    for (size_t i = 0; i < count; i++)
        mem_free(blocks[i]);
}

Test(contents, calloc_is_zero_after_dirty_use)
{
    for (size_t i = 0; i < GRID; i++) {
        size_t count = count_for(grid[i]);
        dirty(grid[i], count);
        for (size_t j = 0; j < count; j++) {
            cr_assert_not_null(blocks[j] = mem_calloc(1, grid[i]));
            cr_assert(fill_is_zero(blocks[j], grid[i]), "block %zu of %zu bytes", j, grid[i]);
            memset(blocks[j], 0x5A, grid[i]);
        }
        for (size_t j = 0; j < count; j++)
            mem_free(blocks[j]);
    }
}

Test(contents, calloc_is_zero_when_other_sizes_dirtied_the_pages)
{
    for (size_t i = GRID; i-- > 0;) {
        dirty(grid[i], count_for(grid[i]));
        for (size_t j = 0; j < GRID; j++) {
            cr_assert_not_null(blocks[j] = mem_calloc(grid[j], 1));
            cr_assert(fill_is_zero(blocks[j], grid[j]), "%zu bytes after %zu", grid[j], grid[i]);
        }
        for (size_t j = 0; j < GRID; j++)
            mem_free(blocks[j]);
    }
}

Test(contents, calloc_is_zero_where_realloc_shrank_a_block)
{
    for (size_t i = 1; i < GRID; i++) {
        unsigned char *block = mem_malloc(grid[i]);
        memset(block, 0xA5, mem_usable_size(block));
        block = mem_realloc(block, grid[i] / 2 + 1);
        unsigned char *zeroed = mem_calloc(1, grid[i] / 2);
        cr_assert(fill_is_zero(zeroed, grid[i] / 2), "%zu bytes", grid[i] / 2);
        mem_free(block);
        mem_free(zeroed);
    }
}

Test(contents, the_whole_usable_size_belongs_to_the_caller)
{
    for (size_t i = 0; i < GRID; i++) {
        size_t count = count_for(grid[i]) / 4 + 2;
        for (size_t j = 0; j < count; j++) {
            cr_assert_not_null(blocks[j] = mem_malloc(grid[i]));
            cr_assert_geq(mem_usable_size(blocks[j]), grid[i]);
            fill(blocks[j], mem_usable_size(blocks[j]), (unsigned)j);
        }
        for (size_t j = 0; j < count; j++)
            cr_assert(fill_stands(blocks[j], mem_usable_size(blocks[j]), (unsigned)j), "%zu bytes", grid[i]);
        for (size_t j = 0; j < count; j++)
            mem_free(blocks[j]);
    }
}

Test(contents, usable_size_does_not_change)
{
    for (size_t i = 0; i < GRID; i++) {
        unsigned char *block = mem_malloc(grid[i]);
        size_t usable = mem_usable_size(block);
        memset(block, 0xFF, usable);
        mem_free(mem_malloc(grid[i]));
        cr_expect_eq(mem_usable_size(block), usable);
        mem_free(block);
    }
}

Test(contents, live_blocks_of_mixed_sizes_do_not_overlap)
{
    for (size_t i = 0; i < MOST; i++) {
        size_t size = grid[i * 7 % (GRID - 3)];
        cr_assert_not_null(blocks[i] = mem_malloc(size));
        fill(blocks[i], size, (unsigned)i);
    }
    for (size_t i = 0; i < MOST; i++)
        cr_assert(fill_stands(blocks[i], grid[i * 7 % (GRID - 3)], (unsigned)i), "block %zu", i);
    for (size_t i = 0; i < MOST; i++)
        mem_free(blocks[i]);
}
