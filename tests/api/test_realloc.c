// SPDX-License-Identifier: MIT
// realloc and reallocarray: contents over every kind of transition, and the corner cases of size zero and
// NULL.

#include "../support/fill.h"
#include "../support/names.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>

enum { TOKEN = 12345 };

static const size_t grid[] = {1,
                              16,
                              17,
                              100,
                              128,
                              1000,
                              4096,
                              5000,
                              16384,
                              32768,
                              40000,
                              65536,
                              65537,
                              100000,
                              256 << 10,
                              (256 << 10) + 1,
                              1 << 20,
                              2 << 20,
                              (2 << 20) + 1,
                              5 << 20,
                              12 << 20};
enum { GRID = sizeof grid / sizeof grid[0] };

TestSuite(realloc, .timeout = 120);

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

Test(realloc, contents_survive_every_transition)
{
    for (size_t from = 0; from < GRID; from++)
        for (size_t to = 0; to < GRID; to++) {
            unsigned seed = (unsigned)(from * GRID + to);
            unsigned char *block = mem_malloc(grid[from]);
            cr_assert_not_null(block);
            fill(block, grid[from], seed);
            block = mem_realloc(block, grid[to]);
            cr_assert_not_null(block);
            cr_expect_eq((uintptr_t)block % 16, 0);
            cr_expect_geq(mem_usable_size(block), grid[to]);
            cr_expect(fill_stands(block, least(grid[from], grid[to]), seed), "from %zu to %zu", grid[from],
                      grid[to]);
            block[grid[to] - 1] = 1;
            mem_free(block);
        }
}

Test(realloc, growth_byte_by_byte_keeps_the_contents)
{
    unsigned char *block = NULL;
    for (size_t size = 1; size <= 20000; size++) {
        block = mem_realloc(block, size);
        cr_assert_not_null(block);
        block[size - 1] = fill_byte(size - 1, 3);
        if (size % 500 == 0)
            cr_assert(fill_stands(block, size, 3), "at %zu bytes", size);
    }
    for (size_t size = 20000; size > 0; size -= 100) {
        block = mem_realloc(block, size);
        cr_assert(fill_stands(block, size, 3), "back at %zu bytes", size);
    }
    mem_free(block);
}

// The neighbours are what a block that grows in place could run over.
Test(realloc, large_blocks_grow_beside_each_other)
{
    enum { COUNT = 6 };
    unsigned char *blocks[COUNT] = {NULL};
    size_t size = 50000;
    for (unsigned round = 0; round < 18; round++, size = size * 5 / 4)
        for (unsigned i = 0; i < COUNT; i++) {
            size_t before = size * 4 / 5 - 1;
            blocks[i] = mem_realloc(blocks[i], size);
            cr_assert_not_null(blocks[i]);
            if (round > 0)
                cr_assert(fill_stands(blocks[i], before, i), "block %u, round %u", i, round);
            fill(blocks[i], size, i);
        }
    for (unsigned i = 0; i < COUNT; i++)
        mem_free(blocks[i]);
}

Test(realloc, the_same_size_keeps_the_block_usable)
{
    for (size_t i = 0; i < GRID; i++) {
        unsigned char *block = mem_malloc(grid[i]);
        fill(block, grid[i], 9);
        for (size_t round = 0; round < 10; round++)
            cr_assert_not_null(block = mem_realloc(block, grid[i]));
        cr_assert_not_null(block = mem_realloc(block, mem_usable_size(block)));
        cr_expect(fill_stands(block, grid[i], 9), "block of %zu bytes", grid[i]);
        mem_free(block);
    }
}

Test(realloc, of_null_allocates)
{
    for (size_t i = 0; i < GRID; i++) {
        unsigned char *block = mem_realloc(NULL, grid[i]);
        unsigned char *array = mem_reallocarray(NULL, grid[i], 2);
        cr_assert(block != NULL && array != NULL && block != array);
        cr_expect_geq(mem_usable_size(block), grid[i]);
        cr_expect_geq(mem_usable_size(array), 2 * grid[i]);
        mem_free(block);
        mem_free(array);
    }
}

Test(realloc, to_zero_frees_and_returns_null)
{
    for (size_t i = 0; i < GRID; i++) {
        errno = TOKEN;
        cr_expect_null(mem_realloc(mem_malloc(grid[i]), 0));
        cr_expect_null(mem_reallocarray(mem_malloc(grid[i]), 0, 8));
        cr_expect_null(mem_reallocarray(mem_malloc(grid[i]), 8, 0));
        cr_expect_null(mem_realloc(mem_malloc(0), 0));
        cr_expect_eq(errno, TOKEN, "errno %d", errno);
    }
}

// If it did not free, this would need 2 GiB, all of it touched.
Test(realloc, to_zero_gives_the_memory_back)
{
    static const size_t sizes[] = {1000, 20000, 300000};
    for (size_t i = 0; i < 3; i++)
        for (size_t sum = 0; sum < (size_t)700 << 20; sum += sizes[i]) {
            char *block = mem_malloc(sizes[i]);
            cr_assert_not_null(block);
            block[0] = block[sizes[i] - 1] = 1;
            cr_assert_null(mem_realloc(block, 0));
        }
}

Test(realloc, reallocarray_resizes)
{
    unsigned *numbers = mem_reallocarray(NULL, 10, sizeof *numbers);
    for (unsigned i = 0; i < 10; i++)
        numbers[i] = i;
    for (size_t count = 10; count < 3000000; count *= 3) {
        numbers = mem_reallocarray(numbers, count * 3, sizeof *numbers);
        cr_assert_not_null(numbers);
        for (size_t i = 0; i < count; i++)
            cr_assert_eq(numbers[i], i);
        for (size_t i = count; i < count * 3; i++)
            numbers[i] = (unsigned)i;
    }
    mem_free(numbers);
}

typedef struct {
    unsigned char *bytes;
    size_t size;
    unsigned seed;
} held;

static size_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (size_t)(*state >> 33);
}

// Sizes spread over the powers of two, with the larger ones rarer: a block of megabytes costs as much as
// thousands.
static size_t random_size(uint64_t *state)
{
    size_t shift = next_random(state) % 12 + (next_random(state) % 16 == 0 ? next_random(state) % 9 : 0);
    return 1 + next_random(state) % ((size_t)8 << shift);
}

static void held_resize(held *h, uint64_t *state)
{
    size_t size = random_size(state);
    unsigned char *bytes = mem_realloc(h->bytes, size);
    cr_assert_not_null(bytes);
    cr_assert(fill_stands(bytes, least(size, h->size), h->seed), "from %zu to %zu bytes", h->size, size);
    *h = (held){bytes, size, (unsigned)next_random(state)};
    fill(bytes, size, h->seed);
}

static void held_release(held *h)
{
    cr_assert(fill_stands(h->bytes, h->size, h->seed), "%zu bytes", h->size);
    mem_free(h->bytes);
    *h = (held){NULL, 0, 0};
}

Test(realloc, random_walk)
{
    enum { COUNT = 200, STEPS = 20000 };
    static held blocks[COUNT];
    uint64_t state = 42;
    for (size_t step = 0; step < STEPS; step++) {
        held *h = &blocks[next_random(&state) % COUNT];
        if (next_random(&state) % 3 == 0)
            held_release(h);
        else
            held_resize(h, &state);
    }
    for (size_t i = 0; i < COUNT; i++)
        held_release(&blocks[i]);
}
