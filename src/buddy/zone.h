// SPDX-License-Identifier: MIT
// A zone: one naturally aligned part of the window with its page state, kept out of line in memory that
// stays. Not synchronised: a zone is guarded by its stripe's lock, or by the zones lock while it belongs to
// no stripe.
#ifndef TARN_BUDDY_ZONE_H
#define TARN_BUDDY_ZONE_H

#include "buddy/buddy.h"
#include "core/atomics.h"

// What the layers above keep for a page; a block of n pages owns n neighbouring descriptors.
#define PAGE_DESCRIPTOR_BYTES 192
#define NO_STRIPE UINT32_MAX
#define UNLISTED (-1)

// For every page:  used => not dirty;  aged => dirty;  used <=> not free in the buddy state.
//   used_pages == bits in used;  dirty_pages == bits in dirty
// `used` alone decides: the buddy state can be made anew from it (zone_repair).
struct zone {
    struct zone *next, *previous; // in the stripe's list `bucket`
    int bucket;                   // order of the largest free block, UNLISTED when in no list
    zone_id id;
    atomic_u32 stripe; // relaxed: it cannot change while a block of the zone is in use
    uint32_t used_pages, dirty_pages;
    uint64_t used[ZONE_PAGES / 64];
    uint64_t dirty[ZONE_PAGES / 64]; // free, but memory lies behind it
    uint64_t aged[ZONE_PAGES / 64];  // dirty since before the last tick of the decay clock
    struct buddy buddy;
    uint8_t head_distance[ZONE_PAGES]; // from a page of a small-slot span back to its first; owned by the
                                       // block's owner
    _Alignas(CACHE_LINE) unsigned char descriptors[ZONE_PAGES][PAGE_DESCRIPTOR_BYTES];
};

void zone_init(struct zone *self, zone_id id);
// The first of n pages (numbered in the zone) or BUDDY_NONE. *clean tells that all of them read as zeros.
size_t zone_take(struct zone *self, size_t n, size_t align, bool *clean);
// Takes exactly these pages if all are free.
bool zone_take_at(struct zone *self, size_t first, size_t n, bool *clean);
// Gives pages back; `dirty` when they may hold data.
void zone_give(struct zone *self, size_t first, size_t n, bool dirty);
// The next run of free pages that holds an aged page (any dirty page when `all`) of [from, end): the run is
// widened over dirty neighbours, those behind the end too, so that one call to the kernel returns as much as
// possible. False when there is none. It starts and ends at multiples of `unit` pages.
bool zone_find_purgeable(const struct zone *self, size_t from, size_t end, size_t unit, bool all,
                         size_t *first, size_t *n);
// Every dirty page of the n from `first` on is aged from now on; both are multiples of 64.
void zone_age(struct zone *self, size_t first, size_t n);
// Makes the buddy state and the counts anew from `used`; every free page counts as dirty.
void zone_repair(struct zone *self);
bool zone_validate(const struct zone *self);

#endif
