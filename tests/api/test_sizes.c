// SPDX-License-Identifier: MIT
// Which sizes are answered with memory, which with NULL and ENOMEM, and what becomes of errno.

#include "../support/fill.h"
#include "../support/names.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>

enum { TOKEN = 12345 };

static const size_t impossible[] = {
    (size_t)PTRDIFF_MAX - 4096,
    (size_t)PTRDIFF_MAX - 1,
    (size_t)PTRDIFF_MAX,
    (size_t)PTRDIFF_MAX + 1,
    (size_t)PTRDIFF_MAX + 2,
    (size_t)1 << 62,
    (size_t)3 << 62,
    SIZE_MAX - ((size_t)4 << 20),
    SIZE_MAX - 65536,
    SIZE_MAX - 65535,
    SIZE_MAX - 16384,
    SIZE_MAX - 4096,
    SIZE_MAX - 4095,
    SIZE_MAX - 4094,
    SIZE_MAX - 64,
    SIZE_MAX - 16,
    SIZE_MAX - 15,
    SIZE_MAX - 8,
    SIZE_MAX - 1,
    SIZE_MAX,
};
enum { IMPOSSIBLE = sizeof impossible / sizeof impossible[0] };

static const size_t possible[] = {0,     1,         15,         16,         17,         100,
                                  1000,  1024,      4095,       4096,       8192,       12345,
                                  16384, 32768,     40000,      65535,      65536,      70000,
                                  99999, 256 << 10, 1000 << 10, 1024 << 10, 3000 << 10, 16384 << 10};
enum { POSSIBLE = sizeof possible / sizeof possible[0] };

static void expect_enomem(const void *block, const char *function, size_t size)
{
    cr_expect_null(block, "%s of %zu bytes gave %p", function, size, block);
    cr_expect_eq(errno, ENOMEM, "%s of %zu bytes: errno %d", function, size, errno);
    errno = TOKEN;
}

TestSuite(sizes, .timeout = 120);

Test(sizes, zero_gives_distinct_blocks)
{
    void *aligned = NULL;
    cr_assert_eq(mem_posix_memalign(&aligned, 64, 0), 0);
    void *blocks[] = {mem_malloc(0),
                      mem_malloc(0),
                      mem_calloc(0, 8),
                      mem_calloc(8, 0),
                      mem_calloc(0, 0),
                      mem_realloc(NULL, 0),
                      mem_reallocarray(NULL, 0, 8),
                      mem_reallocarray(NULL, 8, 0),
                      mem_aligned_alloc(16, 0),
                      mem_memalign(64, 0),
                      mem_valloc(0),
                      mem_pvalloc(0),
                      aligned};
    enum { COUNT = sizeof blocks / sizeof blocks[0] };
    for (size_t i = 0; i < COUNT; i++) {
        cr_expect_not_null(blocks[i], "block %zu", i);
        cr_expect_eq((uintptr_t)blocks[i] % 16, 0, "block %zu at %p", i, blocks[i]);
        for (size_t j = 0; j < i; j++)
            cr_expect_neq(blocks[i], blocks[j], "blocks %zu and %zu are one", i, j);
    }
    for (size_t i = 0; i < COUNT; i++)
        mem_free(blocks[i]);
}

Test(sizes, zero_many_times_stays_distinct)
{
    enum { COUNT = 10000 };
    static char **blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = mem_malloc(0);
        cr_assert_not_null(blocks[i]);
        if (mem_usable_size(blocks[i]) >= sizeof(char *))
            *blocks[i] = (char *)&blocks[i];
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (mem_usable_size(blocks[i]) >= sizeof(char *))
            cr_assert_eq(*blocks[i], (char *)&blocks[i], "block %zu was handed out twice", i);
        mem_free(blocks[i]);
    }
}

Test(sizes, impossible_sizes_are_refused)
{
    errno = TOKEN;
    for (size_t i = 0; i < IMPOSSIBLE; i++) {
        size_t size = impossible[i];
        expect_enomem(mem_malloc(size), "malloc", size);
        expect_enomem(mem_calloc(1, size), "calloc(1, n)", size);
        expect_enomem(mem_calloc(size, 1), "calloc(n, 1)", size);
        expect_enomem(mem_realloc(NULL, size), "realloc", size);
        expect_enomem(mem_reallocarray(NULL, 1, size), "reallocarray(1, n)", size);
        expect_enomem(mem_reallocarray(NULL, size, 1), "reallocarray(n, 1)", size);
        expect_enomem(mem_aligned_alloc(16, size), "aligned_alloc(16)", size);
        expect_enomem(mem_aligned_alloc(4096, size), "aligned_alloc(4096)", size);
        expect_enomem(mem_memalign(64, size), "memalign(64)", size);
        expect_enomem(mem_memalign((size_t)2 << 20, size), "memalign(2 MiB)", size);
        expect_enomem(mem_valloc(size), "valloc", size);
        expect_enomem(mem_pvalloc(size), "pvalloc", size);
    }
}

Test(sizes, impossible_sizes_leave_the_pointer_of_posix_memalign_alone)
{
    void *const before = &errno;
    for (size_t i = 0; i < IMPOSSIBLE; i++)
        for (size_t alignment = sizeof(void *); alignment <= (size_t)1 << 30; alignment *= 2) {
            void *block = before;
            cr_expect_eq(mem_posix_memalign(&block, alignment, impossible[i]), ENOMEM);
            cr_expect_eq(block, before);
        }
}

Test(sizes, more_than_the_address_space_is_refused)
{
    errno = TOKEN;
    for (unsigned shift = 47; shift < 63; shift++) {
        size_t size = (size_t)1 << shift;
        expect_enomem(mem_malloc(size), "malloc", size);
        expect_enomem(mem_calloc(size >> 8, 256), "calloc", size);
        expect_enomem(mem_memalign(4096, size), "memalign", size);
    }
}

Test(sizes, products_that_overflow_are_refused)
{
    const size_t half = (size_t)1 << 32;
    // The last four wrap around to a size that would be possible.
    const size_t products[][2] = {
        {SIZE_MAX, SIZE_MAX},  {SIZE_MAX, 2},           {SIZE_MAX / 2, 3},       {half, half},
        {SIZE_MAX / 2 + 1, 2}, {SIZE_MAX / 16 + 2, 16}, {SIZE_MAX / 24 + 2, 24}, {half + 1, half},
    };
    unsigned char *block = mem_malloc(1000);
    fill(block, 1000, 7);
    errno = TOKEN;
    for (size_t i = 0; i < sizeof products / sizeof products[0]; i++) {
        size_t a = products[i][0], b = products[i][1];
        expect_enomem(mem_calloc(a, b), "calloc", a);
        expect_enomem(mem_calloc(b, a), "calloc", b);
        expect_enomem(mem_reallocarray(NULL, a, b), "reallocarray of NULL", a);
        expect_enomem(mem_reallocarray(block, a, b), "reallocarray", a);
        expect_enomem(mem_reallocarray(block, b, a), "reallocarray", b);
    }
    cr_expect(fill_stands(block, 1000, 7));
    mem_free(block);
}

Test(sizes, products_at_the_edge_are_computed_exactly)
{
    unsigned char *block = mem_calloc(65535, 33);
    cr_assert_not_null(block);
    cr_expect_geq(mem_usable_size(block), (size_t)65535 * 33);
    cr_expect(fill_is_zero(block, (size_t)65535 * 33));
    block = mem_reallocarray(block, 65537, 65);
    cr_assert_not_null(block);
    cr_expect_geq(mem_usable_size(block), (size_t)65537 * 65);
    block[(size_t)65537 * 65 - 1] = 1;
    mem_free(block);
}

Test(sizes, failed_realloc_leaves_the_block_alone)
{
    for (size_t i = 1; i < POSSIBLE; i++) {
        unsigned char *block = mem_malloc(possible[i]);
        cr_assert_not_null(block);
        fill(block, possible[i], (unsigned)i);
        errno = TOKEN;
        for (size_t j = 0; j < IMPOSSIBLE; j++)
            expect_enomem(mem_realloc(block, impossible[j]), "realloc", impossible[j]);
        cr_expect(fill_stands(block, possible[i], (unsigned)i), "block of %zu bytes", possible[i]);
        mem_free(block);
    }
}

Test(sizes, success_leaves_errno_alone)
{
    for (size_t i = 0; i < POSSIBLE; i++) {
        void *aligned = NULL;
        size_t size = possible[i];
        errno = TOKEN;
        void *blocks[] = {mem_malloc(size),
                          mem_calloc(3, size),
                          mem_realloc(NULL, size),
                          mem_reallocarray(NULL, size, 2),
                          mem_aligned_alloc(64, size),
                          mem_memalign(8192, size),
                          mem_valloc(size),
                          mem_pvalloc(size)};
        cr_expect_eq(mem_posix_memalign(&aligned, 256, size), 0);
        cr_expect_eq(errno, TOKEN, "allocating %zu bytes set errno to %d", size, errno);
        for (size_t j = 0; j < sizeof blocks / sizeof blocks[0]; j++) {
            cr_expect_not_null(blocks[j]);
            mem_usable_size(blocks[j]);
            void *moved = mem_realloc(blocks[j], 2 * size + 100);
            cr_expect_not_null(moved);
            cr_expect_eq(errno, TOKEN, "realloc from %zu bytes set errno to %d", size, errno);
            mem_free(moved);
        }
        mem_free(aligned);
        cr_expect_eq(errno, TOKEN, "freeing %zu bytes set errno to %d", size, errno);
    }
    mem_free(NULL);
    cr_expect_eq(errno, TOKEN);
}

Test(sizes, free_of_many_blocks_leaves_errno_alone)
{
    enum { COUNT = 20000 };
    static void *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        cr_assert_not_null(blocks[i] = mem_malloc(i % 3000));
    errno = TOKEN;
    for (size_t i = 0; i < COUNT; i++)
        mem_free(blocks[i]);
    cr_expect_eq(errno, TOKEN);
}

Test(sizes, usable_size_of_null_is_zero) { cr_expect_eq(mem_usable_size(NULL), 0); }

Test(sizes, every_size_is_aligned_and_large_enough)
{
    enum { LIVE = 64 };
    static unsigned char *live[LIVE];
    for (size_t size = 0; size <= 70000; size++) {
        unsigned char *block = mem_malloc(size);
        cr_assert_not_null(block);
        size_t usable = mem_usable_size(block);
        cr_assert_eq((uintptr_t)block % 16, 0, "%zu bytes at %p", size, (void *)block);
        cr_assert_geq(usable, size);
        if (usable > 0)
            block[0] = block[usable - 1] = 0xA5;
        mem_free(live[size % LIVE]);
        live[size % LIVE] = block;
    }
    for (size_t i = 0; i < LIVE; i++)
        mem_free(live[i]);
}

Test(sizes, calloc_and_realloc_are_aligned_too)
{
    for (size_t size = 1; size <= 70000; size += 7) {
        void *zeroed = mem_calloc(1, size);
        cr_assert_eq((uintptr_t)zeroed % 16, 0, "calloc of %zu bytes at %p", size, zeroed);
        void *resized = mem_realloc(mem_malloc(1), size);
        cr_assert_eq((uintptr_t)resized % 16, 0, "realloc to %zu bytes at %p", size, resized);
        mem_free(zeroed);
        mem_free(resized);
    }
}
