// SPDX-License-Identifier: MIT
#include "core/size_class.h"

#include "core/ids.h"

// Own cache lines each, so that the sizes a program uses share lines with nothing else.
#define SIZE_CLASS_LINE __attribute__((aligned(CACHE_LINE)))

SIZE_CLASS_LINE const struct size_class_info size_class_table[SIZE_CLASS_COUNT] = {SIZE_CLASS_TABLE_ROWS};
SIZE_CLASS_LINE const uint8_t size_class_small[SIZE_CLASS_SMALL_MAX + 1] = {SIZE_CLASS_SMALL_ROWS};
SIZE_CLASS_LINE const uint8_t size_class_medium[(SIZE_CLASS_MAX >> SIZE_CLASS_MEDIUM_SHIFT) + 1] = {
    SIZE_CLASS_MEDIUM_ROWS};
const uint64_t size_class_aligned_to[SIZE_CLASS_ALIGN_SHIFTS] = {SIZE_CLASS_ALIGNED_ROWS};

_Static_assert(sizeof(struct size_class_info) == 16, "four rows of the table share a cache line");
_Static_assert(SIZE_CLASS_PAGE == PAGE_SIZE, "tools/gen-size-classes lays spans out in the heap's pages");
_Static_assert(SIZE_CLASS_COUNT <= 64, "a word has a bit for each class");
