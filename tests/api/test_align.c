// SPDX-License-Identifier: MIT
// aligned_alloc, memalign, posix_memalign, valloc and pvalloc: every alignment, and the ones they refuse.

#include "../support/fill.h"
#include "../support/names.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <unistd.h>

enum { TOKEN = 12345 };
static const size_t largest_alignment = (size_t)1 << 30;

TestSuite(align, .timeout = 120);

// Writes only the ends: at alignments of many megabytes the pages between would cost seconds.
static void expect_aligned(void *block, size_t alignment, size_t size)
{
    unsigned char *bytes = block;
    cr_assert_not_null(block, "%zu bytes aligned to %zu", size, alignment);
    cr_expect_eq((uintptr_t)block % alignment, 0, "%zu bytes aligned to %zu at %p", size, alignment, block);
    size_t usable = mem_usable_size(block);
    cr_expect_geq(usable, size, "%zu bytes aligned to %zu: %zu usable", size, alignment, usable);
    if (usable > 0)
        bytes[0] = bytes[usable - 1] = 0x5A;
}

static void *posix_aligned(size_t alignment, size_t size)
{
    void *block = NULL;
    cr_assert_eq(mem_posix_memalign(&block, alignment, size), 0, "%zu bytes aligned to %zu", size, alignment);
    return block;
}

Test(align, every_power_of_two_up_to_a_gibibyte)
{
    for (size_t alignment = sizeof(void *); alignment <= largest_alignment; alignment *= 2) {
        const size_t sizes[] = {0, 1, 24, 100, 5000, 70000, 3 << 20};
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            void *a = mem_memalign(alignment, sizes[i]);
            void *b = posix_aligned(alignment, sizes[i]);
            void *c = mem_aligned_alloc(alignment, sizes[i]);
            expect_aligned(a, alignment, sizes[i]);
            expect_aligned(b, alignment, sizes[i]);
            expect_aligned(c, alignment, sizes[i]);
            cr_expect(a != b && b != c && a != c);
            mem_free(b);
            mem_free(a);
            mem_free(c);
        }
    }
}

Test(align, sizes_around_the_alignment)
{
    for (size_t alignment = 16; alignment <= (size_t)4 << 20; alignment *= 2) {
        const size_t sizes[] = {alignment / 2, alignment - 1,     alignment,       alignment + 1,
                                3 * alignment, alignment * 5 / 2, alignment + 4096};
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            void *block = mem_memalign(alignment, sizes[i]);
            expect_aligned(block, alignment, sizes[i]);
            mem_free(block);
        }
    }
}

Test(align, small_alignments_mean_sixteen)
{
    for (size_t alignment = 1; alignment <= 16; alignment *= 2)
        for (size_t size = 1; size < 2000; size += 13) {
            void *block = mem_memalign(alignment, size);
            expect_aligned(block, 16, size);
            mem_free(block);
        }
}

Test(align, many_live_blocks_do_not_overlap)
{
    enum { COUNT = 600 };
    static void *blocks[COUNT];
    static size_t sizes[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        sizes[i] = 1 + i * 37 % 3000;
        blocks[i] = mem_memalign((size_t)16 << (i % 11), sizes[i]);
        expect_aligned(blocks[i], (size_t)16 << (i % 11), sizes[i]);
        fill(blocks[i], sizes[i], (unsigned)i);
    }
    for (size_t i = 0; i < COUNT; i++) {
        cr_expect(fill_stands(blocks[i], sizes[i], (unsigned)i), "block %zu", i);
        mem_free(blocks[i]);
    }
}

Test(align, blocks_survive_realloc)
{
    for (size_t alignment = 32; alignment <= (size_t)1 << 24; alignment *= 2) {
        const size_t steps[] = {200, 40, 5000, 70000, 3 << 20, 1000, 17};
        size_t size = 100;
        void *block = mem_memalign(alignment, size);
        expect_aligned(block, alignment, size);
        fill(block, size, 1);
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
            block = mem_realloc(block, steps[i]);
            cr_assert_not_null(block);
            cr_expect(fill_stands(block, size < steps[i] ? size : steps[i], (unsigned)i + 1));
            size = steps[i];
            fill(block, size, (unsigned)i + 2);
        }
        mem_free(block);
    }
}

Test(align, the_whole_usable_size_may_be_written)
{
    for (size_t alignment = 16; alignment <= (size_t)1 << 20; alignment *= 2) {
        void *blocks[3];
        for (size_t i = 0; i < 3; i++) {
            blocks[i] = mem_memalign(alignment, 1000 + 700 * i);
            expect_aligned(blocks[i], alignment, 1000 + 700 * i);
            fill(blocks[i], mem_usable_size(blocks[i]), (unsigned)i);
        }
        for (size_t i = 0; i < 3; i++) {
            cr_expect(fill_stands(blocks[i], mem_usable_size(blocks[i]), (unsigned)i));
            mem_free(blocks[i]);
        }
    }
}

Test(align, posix_memalign_refuses_bad_alignments)
{
    const size_t bad[] = {0,
                          1,
                          2,
                          3,
                          4,
                          5,
                          7,
                          9,
                          12,
                          24,
                          40,
                          48,
                          100,
                          4095,
                          4097,
                          6144,
                          SIZE_MAX,
                          SIZE_MAX - 7,
                          (size_t)3 << 61};
    const size_t sizes[] = {0, 1, 100, 70000, SIZE_MAX};
    void *const before = &errno;
    errno = TOKEN;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
            void *block = before;
            cr_expect_eq(mem_posix_memalign(&block, bad[i], sizes[j]), EINVAL, "alignment %zu", bad[i]);
            cr_expect_eq(block, before, "alignment %zu", bad[i]);
            cr_expect_eq(errno, TOKEN, "alignment %zu set errno to %d", bad[i], errno);
        }
}

Test(align, alignments_beyond_the_address_space)
{
    void *const before = &errno;
    void *block = before;
    for (unsigned shift = 48; shift < 64; shift++) {
        cr_expect_eq(mem_posix_memalign(&block, (size_t)1 << shift, 100), ENOMEM, "2^%u", shift);
        cr_expect_eq(block, before);
        errno = TOKEN;
        cr_expect_null(mem_memalign((size_t)1 << shift, 100));
        cr_expect_eq(errno, ENOMEM, "2^%u: errno %d", shift, errno);
    }
    // No power of two is as large as this one.
    errno = TOKEN;
    cr_expect_null(mem_memalign(((size_t)1 << 63) + 1, 100));
    cr_expect_eq(errno, EINVAL);
}

// glibc up to 2.37 rounds such an alignment up in both functions; later ones refuse it in aligned_alloc, as
// ISO C has it.  Anything else, above all a block that is aligned to less, is a defect.
Test(align, alignments_that_are_no_powers_of_two)
{
    const size_t odd[] = {3, 17, 24, 40, 48, 100, 1000, 4097, 6144, 70000};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        size_t rounded = 16;
        while (rounded < odd[i])
            rounded *= 2;
        errno = TOKEN;
        void *strict = mem_aligned_alloc(odd[i], 200);
        if (strict != NULL)
            expect_aligned(strict, rounded, 200);
        else
            cr_expect_eq(errno, EINVAL, "alignment %zu: errno %d", odd[i], errno);
        mem_free(strict);
        void *loose = mem_memalign(odd[i], 200);
        expect_aligned(loose, rounded, 200);
        mem_free(loose);
    }
}

// C17 withdrew the rule that the size be a multiple of the alignment.
Test(align, aligned_alloc_takes_any_size)
{
    for (size_t size = 0; size < 300; size++) {
        void *block = mem_aligned_alloc(64, size);
        expect_aligned(block, 64, size);
        mem_free(block);
    }
}

Test(align, valloc_and_pvalloc_give_pages)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t size = 1; size < 5 * page; size += 97) {
        void *single = mem_valloc(size);
        void *rounded = mem_pvalloc(size);
        expect_aligned(single, page, size);
        expect_aligned(rounded, page, (size + page - 1) / page * page);
        mem_free(single);
        mem_free(rounded);
    }
}

Test(align, aligned_blocks_do_not_pile_up)
{
    for (size_t round = 0; round < 300; round++) {
        void *block = mem_memalign(largest_alignment, (size_t)1 << 20);
        expect_aligned(block, largest_alignment, (size_t)1 << 20);
        mem_free(block);
    }
}
