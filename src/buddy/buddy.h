// SPDX-License-Identifier: MIT
// Buddy arithmetic of one zone: which naturally aligned blocks of 2^order pages are free.
// Pure functions on the caller's memory, no locks, no input or output; callers see to exclusion.
#ifndef TARN_BUDDY_BUDDY_H
#define TARN_BUDDY_BUDDY_H

#include "core/bits.h"
#include "core/ids.h"

#define BUDDY_TOP_ORDER (ZONE_SHIFT - PAGE_SHIFT)
#define BUDDY_ORDERS (BUDDY_TOP_ORDER + 1)
#define BUDDY_NONE SIZE_MAX

// The blocks form a binary tree: node 1 is the whole zone, nodes 2i and 2i+1 are the halves of node i, and
// the leaves are the pages. A node's bit is set when that block is free and not part of a larger free block.
//   free[o] == number of set nodes of order o
//   no two set nodes overlap; no two set nodes are siblings (they would have been joined)
struct buddy {
    uint64_t nodes[2 * ZONE_PAGES / 64];
    uint16_t free[BUDDY_ORDERS];
};

_Static_assert(ZONE_PAGES <= UINT16_MAX, "counts of free blocks are 16 bits wide");

// All functions take n >= 1 and first + n <= ZONE_PAGES.
void buddy_init_full(struct buddy *self);
void buddy_init_empty(struct buddy *self);
// The first page of a free block of at least n pages whose number is a multiple of `align` (a power of two),
// the lowest of the smallest order that fits; or BUDDY_NONE.
size_t buddy_find(const struct buddy *self, size_t n, size_t align);
// The first page, at or above `from`, of a free block of exactly that order; or BUDDY_NONE.
size_t buddy_find_exact(const struct buddy *self, unsigned order, size_t from);
void buddy_give(struct buddy *self, size_t first, size_t n);
// Takes exactly these pages, all of which are free.
void buddy_take_at(struct buddy *self, size_t first, size_t n);
// The order of the largest free block, or -1.
int buddy_largest(const struct buddy *self);
// Sets the bits of the free pages.
void buddy_mark_free(const struct buddy *self, uint64_t pages[ZONE_PAGES / 64]);
size_t buddy_free_pages(const struct buddy *self);
// True when the invariants above hold.
bool buddy_validate(const struct buddy *self);

// The order of the smallest block that holds n pages at that alignment.
static inline unsigned buddy_order(size_t n, size_t align) { return log2_ceil(max_size(n, align)); }

#endif
