// SPDX-License-Identifier: MIT
// Size classes: which slot size a request is rounded up to, and how the spans of that size are laid out.
// Constant tables: any thread may ask at any time, before every constructor too.
#ifndef TARN_CORE_SIZE_CLASS_H
#define TARN_CORE_SIZE_CLASS_H

#include <stddef.h>
#include <stdint.h>

#include "core/bits.h"
#include "core/size_class_table.h"

// Classes are numbered from 1 to SIZE_CLASS_COUNT - 1, by growing size; 0 means "no class".
struct size_class_info {
    uint32_t size;
    uint32_t reciprocal; // 2^SIZE_CLASS_MAGIC_SHIFT / size, rounded up
    uint16_t pages;      // of SIZE_CLASS_PAGE bytes in a span
    uint16_t slots;      // in a span
    uint16_t batch;      // objects a thread cache exchanges at once, unless an option says otherwise
};

// Hidden here and not only by a compiler flag, which leaves extern declarations to be reached through the
// GOT.
#define SIZE_CLASS_DATA extern __attribute__((visibility("hidden")))
SIZE_CLASS_DATA const struct size_class_info size_class_table[SIZE_CLASS_COUNT];
SIZE_CLASS_DATA const uint8_t size_class_small[SIZE_CLASS_SMALL_MAX + 1];
SIZE_CLASS_DATA const uint8_t size_class_medium[(SIZE_CLASS_MAX >> SIZE_CLASS_MEDIUM_SHIFT) + 1];
// By the alignment's power of two: bit c is set if all slots of class c start at multiples of it.
#define SIZE_CLASS_ALIGN_SHIFTS 15
SIZE_CLASS_DATA const uint64_t size_class_aligned_to[SIZE_CLASS_ALIGN_SHIFTS];
#undef SIZE_CLASS_DATA

// The class of a request above SIZE_CLASS_SMALL_MAX and of at most SIZE_CLASS_MAX bytes.
static inline unsigned size_class_of_medium(size_t size)
{
    size_t round = ((size_t)1 << SIZE_CLASS_MEDIUM_SHIFT) - 1;
    return size_class_medium[(size + round) >> SIZE_CLASS_MEDIUM_SHIFT];
}

// The class of a request of at most SIZE_CLASS_MAX bytes; no bytes are served as one.
static inline unsigned size_class_of(size_t size)
{
    return size <= SIZE_CLASS_SMALL_MAX ? size_class_small[size] : size_class_of_medium(size);
}

static inline size_t size_class_size(unsigned cls) { return size_class_table[cls].size; }

// The slot that a byte offset inside a span of the class falls into; the span's tail counts as one slot more.
static inline size_t size_class_slot(unsigned cls, size_t offset)
{
    return (size_t)((uint64_t)offset * size_class_table[cls].reciprocal >> SIZE_CLASS_MAGIC_SHIFT);
}

// The smallest class of at least `size` bytes whose slots all start at multiples of `align`, a power of two;
// 0 if there is none. Spans start at a page, so a page is the largest alignment a class can promise.
static inline unsigned size_class_aligned(size_t size, size_t align)
{
    if (align > SIZE_CLASS_PAGE || size > SIZE_CLASS_MAX)
        return 0;
    uint64_t larger = UINT64_MAX << size_class_of(size);
    uint64_t fitting = size_class_aligned_to[bits_lowest(align)] & larger;
    return fitting == 0 ? 0 : bits_lowest(fitting);
}

#endif
