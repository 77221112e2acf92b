// SPDX-License-Identifier: MIT
// Huge pages: which ranges of a zone the kernel is to back with pages of 2 MiB. Policy only; the zone keeps
// the ranges' state. Any thread.
#ifndef TARN_BUDDY_HUGE_H
#define TARN_BUDDY_HUGE_H

#include "core/ids.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HUGE_SHIFT 21
#define HUGE_PAGES (((size_t)1 << HUGE_SHIFT) >> PAGE_SHIFT)
#define HUGE_RANGES (ZONE_PAGES / HUGE_PAGES)

// Reads TARN_THP. From then on the window [base, base + size) has small pages unless a range is given huge
// ones, whatever the kernel does by itself.
void huge_init(void *base, size_t size);

// A range of memory that nothing lay in is about to be used, first by a block of n pages. A page of 2 MiB
// costs what thirty to a hundred small faults cost, and so pays where the range will soon be full:
//   for blocks below 2 MiB, when the part of the heap that they go to is so large that one range is little;
//   for larger ones, when those that were freed of late had been written to up to their ends.
bool huge_pays(size_t n, uint64_t used_pages);

// True when a block of that many pages, whose memory was fresh when it was allocated, has something to teach.
static inline bool huge_may_learn(size_t n) { return n >= HUGE_PAGES; }
// Such a block ends: was it filled?
void huge_learn(bool filled);

#endif
