// SPDX-License-Identifier: MIT
// Fills a block with bytes that depend on a seed and on the position, and looks whether they still stand
// there. Pure functions on the caller's block.

#ifndef TESTS_SUPPORT_FILL_H
#define TESTS_SUPPORT_FILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Mixing the higher position bits in makes a block shifted by a page or a power of two visible too.
static inline unsigned char fill_byte(size_t i, unsigned seed)
{
    return (unsigned char)((i ^ (i >> 8) ^ (i >> 16)) * 167U + seed);
}

static inline void fill(void *block, size_t size, unsigned seed)
{
    unsigned char *bytes = block;
    for (size_t i = 0; i < size; i++)
        bytes[i] = fill_byte(i, seed);
}

static inline bool fill_stands(const void *block, size_t size, unsigned seed)
{
    const unsigned char *bytes = block;
    unsigned difference = 0;
    for (size_t i = 0; i < size; i++)
        difference |= (unsigned)(bytes[i] ^ fill_byte(i, seed));
    return difference == 0;
}

static inline bool fill_is_zero(const void *block, size_t size)
{
    const unsigned char *bytes = block;
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

#endif
