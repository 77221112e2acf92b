// SPDX-License-Identifier: MIT
// The page heap: blocks of whole pages from zones that are spread over stripes, each with a lock of its own.
// Any thread, except where a name ends in _locked or a comment says otherwise.
#ifndef TARN_BUDDY_PAGE_HEAP_H
#define TARN_BUDDY_PAGE_HEAP_H

#include "buddy/recent.h"
#include "buddy/zone_table.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct page_block {
    page_id first; // NO_PAGE when there was no memory, or the hard limit leaves no room
    bool clean;    // the block reads as zeros
};

struct page_heap_counts {
    uint64_t opened_pages; // == used + dirty + clean
    uint64_t used_pages, dirty_pages, clean_pages;
    uint64_t pages_purged, purge_calls;
};

void page_heap_init(void);
unsigned page_heap_stripes(void);
// n >= 1 pages, the first of which has an address that is a multiple of `align` bytes (a power of two).
struct page_block page_heap_take(size_t n, size_t align);
// The same for who is about to fill all of it, and needs no zeros: a fresh block may get memory that is free.
struct page_block page_heap_take_filled(size_t n, size_t align);
// The same for n >= 3 pages of which the first and the last are to be guards, and the second has that
// alignment, in pages. With HUGE_PAGES the ranges between the guards are as those of other blocks.
struct page_block page_heap_take_second(size_t n, size_t align_pages, bool fills);
// Any part of a block, or all of it.
void page_heap_give(page_id first, size_t n);
// The same for large blocks of n pages, no more aligned than pages are: kept whole for a moment, never clean.
// What is taken has n pages or some more; no pages when there is none of about that size.
static inline struct page_run page_heap_take_recent(size_t n) { return recent_take(n); }
void page_heap_give_recent(page_id first, size_t n);
// The same for runs of just n pages, the first and the last of which are guards.
static inline struct page_run page_heap_take_guarded(size_t n)
{
    struct page_run run = recent_take_word(&recent_sets[recent_index(n - 2)], n | RECENT_GUARDED, 0);
    return (struct page_run){run.first, run.n & ~RECENT_GUARDED};
}
// One of the next larger sizes, whose tail is in the wrong place.
struct page_run page_heap_take_guarded_above(size_t n);
// Whether there is one, at the moment.
static inline bool page_heap_has_guarded(size_t n)
{
    return recent_holds(&recent_sets[recent_index(n - 2)], n | RECENT_GUARDED);
}
void page_heap_give_guarded(page_id first, size_t n);
// The same for runs of just n pages of which the last is a guard.
static inline page_id page_heap_take_tailed(size_t n)
{
    return recent_take_word(&recent_sets[recent_index(n - 1)], n | RECENT_TAILED, 0).first;
}
void page_heap_give_tailed(page_id first, size_t n);
// Adds the pages behind a block of n to it, up to n_wanted in all; false if they are in use. *clean as in
// page_block.
bool page_heap_grow(page_id first, size_t n, size_t n_wanted, bool *clean);
// A block of n pages ends, and what lies in it comes to lie in another one of n_to > n, without a copy as far
// as the kernel can; both are the caller's. What is copied leaves no more than zeros in the first `cleared`
// bytes. Only while page_heap_can_move, which is not for ever.
bool page_heap_can_move(void);
void page_heap_move(page_id from, size_t n, page_id to, size_t n_to, size_t cleared);
// The owner of a block has given memory in the midst of these pages back to the kernel, which shall not fill
// them up again as parts of huge ones.
void page_heap_break_huge(page_id first, size_t n);
// Gives memory back that has been free for TARN_DECAY_MS; cheap when nothing is due.
void page_heap_decay(void);
// True when no free page holds memory: nothing is left to decay.
bool page_heap_is_settled(void);
// Charges the bytes (limit.h), for which free memory goes back if it has to; false at the hard limit.
bool page_heap_reserve(uint64_t bytes);
// Gives free memory back, a part at a time, until no more than `bound` bytes are charged (limit.h).
void page_heap_relieve(uint64_t bound);
// The heap grows: what is free and was so at the last look goes back, but for a share that is worth keeping.
void page_heap_contain(void);
// Gives back all free memory now; returns the number of bytes.
size_t page_heap_purge(void);
struct page_heap_counts page_heap_counts(void);
// For a caller that owns the block.
static inline void *page_descriptor(page_id page)
{
    return zone_of_page(page)->descriptors[page_in_zone(page)];
}
static inline uint8_t *page_head_distance(page_id page)
{
    return &zone_of_page(page)->head_distance[page_in_zone(page)];
}
// In a child of fork, before it has a second thread: makes whole what other threads were changing at that
// moment.
void page_heap_after_fork(void);
// Checks every invariant; the caller sees to it that no other thread changes the heap.
bool page_heap_validate(void);

#endif
