// SPDX-License-Identifier: MIT
#include "core/bits.h"

#include "seeded.h"
#include <criterion/criterion.h>
#include <string.h>

#define WORDS 3
#define BITS ((size_t)WORDS * 64)

static uint64_t words[WORDS];

static bool plain_test(const uint64_t *bits, size_t i)
{
    return (bits[i / 64] & UINT64_C(1) << (i % 64)) != 0;
}

// Few bits set, many bits set, or about half of them.
static void fill(uint64_t *state)
{
    size_t kind = seeded_next(state, 3);
    for (size_t i = 0; i < BITS; i++) {
        bool bit = kind == 0   ? seeded_next(state, 40) == 0
                   : kind == 1 ? seeded_next(state, 40) != 0
                               : seeded_next(state, 2) != 0;
        words[i / 64] = (words[i / 64] & ~(UINT64_C(1) << (i % 64))) | (uint64_t)bit << (i % 64);
    }
}

Test(bits, lowest_highest_and_count)
{
    for (unsigned i = 0; i < 64; i++) {
        cr_assert_eq(bits_lowest(~UINT64_C(0) << i), i);
        cr_assert_eq(bits_highest(~UINT64_C(0) >> i), 63 - i);
        cr_assert_eq(bits_count(~UINT64_C(0) >> i), 64 - i);
    }
    cr_assert_eq(bits_count(0), 0);
}

Test(bits, powers_of_two)
{
    cr_assert_not(is_power_of_two(0));
    for (unsigned i = 0; i < 64; i++) {
        cr_assert(is_power_of_two((size_t)1 << i));
        if (i > 1) {
            cr_assert_not(is_power_of_two(((size_t)1 << i) + 1));
            cr_assert_not(is_power_of_two(((size_t)1 << i) - 1));
        }
    }
}

Test(bits, logarithm_rounds_up)
{
    cr_assert_eq(log2_ceil(0), 0);
    for (size_t n = 1; n < 5000; n++) {
        unsigned log = log2_ceil(n);
        cr_assert_geq((size_t)1 << log, n);
        cr_assert(log == 0 || (size_t)1 << (log - 1) < n, "%zu", n);
    }
    cr_assert_eq(log2_ceil((size_t)1 << 63), 63);
    cr_assert_eq(log2_ceil(((size_t)1 << 63) - 1), 63);
}

Test(bits, alignment)
{
    for (size_t align = 1; align <= 64; align *= 2)
        for (size_t n = 0; n < 300; n++) {
            cr_assert_eq(align_down(n, align), n / align * align);
            cr_assert_eq(align_up(n, align), (n + align - 1) / align * align);
        }
    cr_assert_eq(align_down(SIZE_MAX, (size_t)1 << 30), SIZE_MAX << 30);
}

Test(bits, minimum_and_maximum)
{
    cr_assert_eq(min_size(1, 2), 1);
    cr_assert_eq(min_size(2, 1), 1);
    cr_assert_eq(max_size(1, 2), 2);
    cr_assert_eq(max_size(2, 1), 2);
    cr_assert_eq(max_size(SIZE_MAX, 0), SIZE_MAX);
}

Test(bits, mask_stays_in_the_first_word)
{
    for (size_t first = 0; first < 128; first++)
        for (size_t n = 1; n <= 130; n++) {
            uint64_t mask = bits_mask(first, n);
            for (size_t i = 0; i < 64; i++) {
                size_t bit = (first & ~(size_t)63) + i;
                cr_assert_eq((mask >> i) & 1, bit >= first && bit < first + n, "%zu %zu", first, n);
            }
        }
}

static void check_range(size_t first, size_t n)
{
    uint64_t set[WORDS], cleared[WORDS];
    size_t count = 0;
    memcpy(set, words, sizeof words);
    memcpy(cleared, words, sizeof words);
    bits_set_range(set, first, n);
    bits_clear_range(cleared, first, n);
    for (size_t i = 0; i < BITS; i++) {
        bool inside = i >= first && i < first + n;
        count += inside && plain_test(words, i);
        if (plain_test(set, i) != (inside || plain_test(words, i)) ||
            plain_test(cleared, i) != (!inside && plain_test(words, i)) ||
            bits_test(words, i) != plain_test(words, i))
            cr_assert_fail("bit %zu of [%zu, %zu)", i, first, first + n);
    }
    cr_assert_eq(bits_count_range(words, first, n), count);
}

Test(bits, ranges_change_and_count_what_lies_in_them)
{
    uint64_t state = seeded_start("bits ranges");
    for (size_t first = 0; first <= BITS; first++) {
        fill(&state);
        for (size_t n = 0; first + n <= BITS; n += 1 + seeded_next(&state, 9))
            check_range(first, n);
        check_range(first, BITS - first);
    }
}

static size_t plain_find(size_t from, size_t end, bool wanted)
{
    while (from < end && plain_test(words, from) != wanted)
        from++;
    return from < end ? from : end;
}

Test(bits, find_the_first_in_a_range)
{
    uint64_t state = seeded_start("bits find");
    for (size_t from = 0; from <= BITS; from++) {
        fill(&state);
        for (size_t end = from; end <= BITS; end++) {
            cr_assert_eq(bits_find_set(words, from, end), plain_find(from, end, true));
            cr_assert_eq(bits_find_clear(words, from, end), plain_find(from, end, false));
        }
    }
}

Test(bits, nothing_found_is_the_end)
{
    memset(words, 0, sizeof words);
    cr_assert_eq(bits_find_set(words, 5, 130), 130);
    memset(words, 0xff, sizeof words);
    cr_assert_eq(bits_find_clear(words, 5, 130), 130);
    cr_assert_eq(bits_find_clear(words, 7, 7), 7);
}
