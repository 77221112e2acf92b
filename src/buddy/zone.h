// SPDX-License-Identifier: MIT
// A zone: one naturally aligned part of the window with its page state, kept out of line in memory that
// stays. Not synchronised: a zone is guarded by its stripe's lock, or by the zones lock while it belongs to
// no stripe.
#ifndef TARN_BUDDY_ZONE_H
#define TARN_BUDDY_ZONE_H

#include "buddy/buddy.h"
#include "buddy/huge.h"
#include "core/atomics.h"
#include "core/harden.h"

// What the layers above keep for a page; a block of n pages owns n neighbouring descriptors.
#define PAGE_DESCRIPTOR_BYTES 192
// Where a block on its way home keeps what is known of it: in what no stale look into a bucket, no survey and
// no report of a second free reads in a descriptor (span.c). Two, four and eight bytes.
#define RETURNING_PAGES_AT 32
#define RETURNING_FIRST_AT 36
#define RETURNING_NODE_AT 56
// Descriptors go back by whole pages of the kernel's, which have so many bytes or a multiple.
#define DESCRIBED_BYTES 4096
#define DESCRIBED_PARTS (ZONE_PAGES * PAGE_DESCRIPTOR_BYTES / DESCRIBED_BYTES)
#define NO_STRIPE UINT32_MAX
#define UNLISTED (-1)

// For every page:  used => not dirty;  aged => dirty;  used <=> not free in the buddy state.
//   used_pages == bits in used;  dirty_pages == bits in dirty
// `used` alone decides: the buddy state can be made anew from it (zone_repair).
struct zone {
    // First, so that they begin with a page of the kernel's, as zones do.
    _Alignas(CACHE_LINE) unsigned char descriptors[ZONE_PAGES][PAGE_DESCRIPTOR_BYTES];
    struct zone *next, *previous; // in the stripe's list `bucket`
    int bucket;                   // order of the largest free block, UNLISTED when in no list
    zone_id id;
    atomic_u32 stripe; // relaxed: it cannot change while a block of the zone is in use
    uint32_t used_pages, dirty_pages;
    uint64_t used[ZONE_PAGES / 64];
    uint64_t dirty[ZONE_PAGES / 64]; // free, but memory lies behind it
    uint64_t aged[ZONE_PAGES / 64];  // dirty since before purging last came by: a tick of the decay clock, or
                                     // a large block that was fresh
    // Bit r stands for the r-th range of 2 MiB.
    atomic_u32 fresh;  // relaxed, written as the rest: a block was taken where nothing lay in the range, and
                       // nobody has chosen the size of its pages yet
    atomic_u32 huge;   // relaxed, written as the rest: the kernel was asked for huge pages
    atomic_u32 parted; // relaxed: 1 when memory was moved into the zone, see move.h
    // Bit d: the d-th DESCRIBED_BYTES of descriptors may hold something of pages that are free.
    uint64_t described[(DESCRIBED_PARTS + 63) / 64];
    struct buddy buddy;
    uint8_t head_distance[ZONE_PAGES]; // from a page of a small-slot span back to its first; owned by the
                                       // block's owner
};

void zone_init(struct zone *self, zone_id id);
// Instead of an alignment, which is a power of two: the second of the pages begins a range.
#define ALIGN_SECOND 3
// No zone without a free block of that order has a place for n pages.
static inline unsigned zone_order(size_t n, size_t align)
{
    return align == ALIGN_SECOND ? bits_highest(n) - 1 : buddy_order(n, align);
}
bool zone_has_place(const struct zone *self, size_t n, size_t align);
// The first of n pages (numbered in the zone) or BUDDY_NONE. *clean tells that all of them read as zeros.
size_t zone_take(struct zone *self, size_t n, size_t align, bool *clean);
// Would zone_take find at least one page that holds memory?
bool zone_next_is_dirty(const struct zone *self, size_t n, size_t align);
// Takes exactly these pages if all are free.
bool zone_take_at(struct zone *self, size_t first, size_t n, bool *clean);
// Gives pages back; `dirty` when they may hold data.
void zone_give(struct zone *self, size_t first, size_t n, bool dirty);
// Which free pages go back: those with an aged one among them or all dirty ones; of either, unless a huge
// page would be broken for them that is partly in use.
enum zone_purge { PURGE_AGED, PURGE_AGED_UNBROKEN, PURGE_UNBROKEN, PURGE_ALL };
static inline bool purge_wants_aged(enum zone_purge which) { return which <= PURGE_AGED_UNBROKEN; }
// The next such run of free pages in [from, end): it is widened over dirty neighbours, those behind the end
// too, so that one call to the kernel returns as much as possible. It starts and ends at multiples of `unit`
// pages, the kernel's: what is clean and free of its first unit and of its last goes with it. False when
// there is none.
bool zone_find_purgeable(const struct zone *self, size_t from, size_t end, size_t unit, enum zone_purge which,
                         size_t *first, size_t *n);
// Every dirty page of the n from `first` on is aged from now on; both are multiples of 64.
void zone_age(struct zone *self, size_t first, size_t n);
// The ranges that pages [first, first + n) reach into.
static inline uint32_t zone_ranges(size_t first, size_t n)
{
    size_t low = first / HUGE_PAGES, high = (first + n - 1) / HUGE_PAGES;
    return (uint32_t)(((UINT64_C(2) << high) - 1) & ~((UINT64_C(1) << low) - 1));
}
// The ranges all pages of which are free and hold memory.
uint32_t zone_dirty_ranges(const struct zone *self);
// Chooses the size of the pages of those `ranges` that are fresh; the ranges for which the kernel has to be
// told. All free pages of a huge range are dirty from then on: the first fault brings memory behind them.
uint32_t zone_choose_huge(struct zone *self, uint32_t ranges, bool huge);
// Free pages [first, first + n) are about to be given back to the kernel: ranges of which a part stays in use
// are huge no more, or the kernel would fill them up again. The ranges for which it has to be told.
uint32_t zone_break_huge(struct zone *self, size_t first, size_t n);
// What freed blocks' descriptors say is read later: where they were freed. Then none go back.
static inline bool zone_keeps_descriptors(void) { return has_canaries(); }
// Bytes of a zone's descriptors.
struct zone_described {
    size_t from, end;
};
// Of these pages, which were a block whose memory has gone elsewhere.
void zone_note_described(struct zone *self, size_t first, size_t n);
// The next descriptors in `range` that may hold something, though their pages are all free and hold no
// memory; they start and end at multiples of `unit` bytes, a multiple of DESCRIBED_BYTES, as does the range.
// They count as if they held nothing from then on, and the pages are taken. False when there are none.
bool zone_take_described(struct zone *self, struct zone_described range, size_t unit,
                         struct zone_described *found);
// Those pages, from the first one on of which a descriptor reaches into the range.
static inline size_t described_first(struct zone_described range)
{
    return range.from / PAGE_DESCRIPTOR_BYTES;
}
static inline size_t described_pages(struct zone_described range)
{
    return (range.end + PAGE_DESCRIPTOR_BYTES - 1) / PAGE_DESCRIPTOR_BYTES - described_first(range);
}
// Returns their memory, and they read as zeros. The caller sees to it that nobody has a block of the pages.
void zone_forget_described(struct zone *self, struct zone_described range);
// Makes the buddy state and the counts anew from `used`; every free page counts as dirty.
void zone_repair(struct zone *self);
bool zone_validate(const struct zone *self);

#endif
