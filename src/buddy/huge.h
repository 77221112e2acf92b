// SPDX-License-Identifier: MIT
// Huge pages: which ranges of a zone the kernel is to back with pages of 2 MiB. Policy only; the zone keeps
// the ranges' state. Any thread.
#ifndef TARN_BUDDY_HUGE_H
#define TARN_BUDDY_HUGE_H

#include "core/atomics.h"
#include "core/ids.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HUGE_SHIFT 21
#define HUGE_PAGES (((size_t)1 << HUGE_SHIFT) >> PAGE_SHIFT)
#define HUGE_RANGES (ZONE_PAGES / HUGE_PAGES)

static inline bool huge_begins(page_id page) { return page.n % HUGE_PAGES == 0; }

// Reads TARN_THP. From then on the window [base, base + size) has small pages unless a range is given huge
// ones, whatever the kernel does by itself.
void huge_init(void *base, size_t size);
// Asks for small pages, where the kernel's huge ones are of 2 MiB; others are left alone.
void huge_keep_small(void *start, size_t size);

// A range of memory that nothing lay in is about to be used, first by a block of n pages. A page of 2 MiB
// costs what thirty to a hundred small faults cost, and so pays where the range will soon be full:
//   for blocks below 2 MiB, when the part of the heap that they go to is no longer small and the range before
//   was filled;
//   for larger ones, when those that were freed of late had been written to up to their ends, or while the
//   first ones are on credit.
bool huge_pays(size_t n, uint64_t used_pages, bool dense);

// The last range of one part of the heap that got small pages, which shows what becomes of them. Relaxed:
// hints.
struct huge_history {
    atomic_u32 last;   // its first page + 1; 0 when it was looked at already
    atomic_u32 ranges; // that were begun where the one before was filled
    atomic_u32 dense;  // 1: the last one that was looked at had been filled
};

// A range begins, at that page, for blocks below 2 MiB: was the one before it filled?
bool huge_is_dense(struct huge_history *self);
// One range in some gets small pages even where all were filled, to see when that changes.
bool huge_spares(struct huge_history *self);
// The range has got small pages.
void huge_note_small(struct huge_history *self, page_id first);

// True when a block of that many pages, whose memory was fresh when it was allocated, has something to teach.
static inline bool huge_may_learn(size_t n) { return n >= HUGE_PAGES; }
// Such a block ends: was it filled?
void huge_learn(bool filled);
// Whether the last ones were.
bool huge_blocks_are_filled(void);

#endif
