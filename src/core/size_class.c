// SPDX-License-Identifier: MIT
#include "core/size_class.h"

#include "core/bits.h"
#include "core/ids.h"

// Own cache lines each, so that the sizes a program uses share lines with nothing else.
#define SIZE_CLASS_LINE __attribute__((aligned(CACHE_LINE)))

SIZE_CLASS_LINE const struct size_class_info size_class_table[SIZE_CLASS_COUNT] = {SIZE_CLASS_TABLE_ROWS};
SIZE_CLASS_LINE const uint8_t size_class_small[SIZE_CLASS_SMALL_MAX + 1] = {SIZE_CLASS_SMALL_ROWS};
SIZE_CLASS_LINE const uint8_t size_class_medium[(SIZE_CLASS_MAX >> SIZE_CLASS_MEDIUM_SHIFT) + 1] = {
    SIZE_CLASS_MEDIUM_ROWS};

_Static_assert(sizeof(struct size_class_info) == 16, "four rows of the table share a cache line");
_Static_assert(SIZE_CLASS_PAGE == PAGE_SIZE, "tools/gen-size-classes lays spans out in the heap's pages");

unsigned size_class_aligned(size_t size, size_t align)
{
    if (align > SIZE_CLASS_PAGE || size > SIZE_CLASS_MAX)
        return 0;
    unsigned cls = size_class_of(size > align ? size : align);
    while (cls < SIZE_CLASS_COUNT && (size_class_size(cls) & (align - 1)) != 0)
        cls++;
    return cls < SIZE_CLASS_COUNT ? cls : 0;
}
