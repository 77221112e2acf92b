// SPDX-License-Identifier: MIT
// Bit arithmetic: powers of two, alignment, and ranges of bits in arrays of 64-bit words.
// Pure functions on the caller's memory; callers see to exclusion.
#ifndef TARN_CORE_BITS_H
#define TARN_CORE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_LINE 64
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define NOINLINE __attribute__((noinline))
// Tables lie behind all other variables, so that those share a page: each page that a process touches costs
// it a fault at its start. The linker is told to sort by these names.
#define TABLE __attribute__((section(".bss.tables")))

static inline unsigned bits_lowest(uint64_t word) { return (unsigned)__builtin_ctzll(word); }
static inline unsigned bits_highest(uint64_t word) { return 63u - (unsigned)__builtin_clzll(word); }
static inline unsigned bits_count(uint64_t word) { return (unsigned)__builtin_popcountll(word); }
static inline bool is_power_of_two(size_t n) { return n != 0 && (n & (n - 1)) == 0; }
static inline unsigned log2_ceil(size_t n) { return n <= 1 ? 0 : bits_highest(n - 1) + 1; }
static inline size_t align_up(size_t n, size_t align) { return (n + align - 1) & ~(align - 1); }
static inline size_t align_down(size_t n, size_t align) { return n & ~(align - 1); }
static inline size_t min_size(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t max_size(size_t a, size_t b) { return a > b ? a : b; }

// The bits [first, first + n) that fall into the word of `first`; n > 0.
static inline uint64_t bits_mask(size_t first, size_t n)
{
    size_t room = 64 - first % 64;
    size_t take = min_size(n, room);
    return (take == 64 ? ~UINT64_C(0) : (UINT64_C(1) << take) - 1) << (first % 64);
}

static inline bool bits_test(const uint64_t *words, size_t i) { return (words[i / 64] >> (i % 64)) & 1; }

static inline void bits_set_range(uint64_t *words, size_t first, size_t n)
{
    for (size_t end = first + n; first < end; first = (first | 63) + 1)
        words[first / 64] |= bits_mask(first, end - first);
}

static inline void bits_clear_range(uint64_t *words, size_t first, size_t n)
{
    for (size_t end = first + n; first < end; first = (first | 63) + 1)
        words[first / 64] &= ~bits_mask(first, end - first);
}

// How many of the bits [first, first + n) are set.
static inline size_t bits_count_range(const uint64_t *words, size_t first, size_t n)
{
    size_t count = 0;
    for (size_t end = first + n; first < end; first = (first | 63) + 1)
        count += bits_count(words[first / 64] & bits_mask(first, end - first));
    return count;
}

// The first set bit in [from, end), or end.
static inline size_t bits_find_set(const uint64_t *words, size_t from, size_t end)
{
    while (from < end) {
        uint64_t word = words[from / 64] & bits_mask(from, end - from);
        if (word != 0)
            return (from & ~(size_t)63) + bits_lowest(word);
        from = (from | 63) + 1;
    }
    return end;
}

// The first clear bit in [from, end), or end.
static inline size_t bits_find_clear(const uint64_t *words, size_t from, size_t end)
{
    while (from < end) {
        uint64_t word = ~words[from / 64] & bits_mask(from, end - from);
        if (word != 0)
            return (from & ~(size_t)63) + bits_lowest(word);
        from = (from | 63) + 1;
    }
    return end;
}

#endif
