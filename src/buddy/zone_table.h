// SPDX-License-Identifier: MIT
// The table of all zones: which are in use, which lie free, and runs of them for blocks larger than a zone.
// Any thread.
#ifndef TARN_BUDDY_ZONE_TABLE_H
#define TARN_BUDDY_ZONE_TABLE_H

#include "buddy/zone.h"
#include "core/page_map.h"

// A zone is   absent -> taken <-> free,   and from free, where address space is short, absent again.
//   taken: somebody outside the table guards it.   free: wholly free, guarded by the zones lock, perhaps
//   dirty.
// A zone's state memory is made when it is first taken and stays mapped; descriptors of free pages may read
// as zeros (page_heap.c).
struct zone_table_counts {
    uint64_t free_zones, free_dirty_pages;
    uint64_t opened_zones;
};

bool zone_table_init(void);
// n neighbouring zones, the first at a multiple of `align` zones, now taken and wholly free; the lowest that
// there are. NO_ZONE if none.
zone_id zone_table_take(size_t n, size_t align);
// Takes the zone itself if it is free.
bool zone_table_take_at(zone_id zone);
// Gives a taken, wholly free zone back.
void zone_table_give(zone_id zone);

// NULL while the zone was never taken.
static inline struct zone *zone_at(zone_id zone)
{
    return zone.n < page_map_zones() ? load_acquire(&sealed.zones[zone.n])
                                     : NULL; // pairs with make_zone_locked
}

// The same for a zone that was taken at some time, as every zone with a block in it was.
static inline struct zone *zone_known(zone_id zone)
{
    return load_acquire(&sealed.zones[zone.n]); // pairs with make_zone_locked
}

static inline struct zone *zone_of_page(page_id page) { return zone_known(page_zone(page)); }

// No zone at or above this one was ever taken.
size_t zone_table_end(void);
// Returns the memory of free zones, of each step-th from `from` on: if it was dirty at the last call too, or
// in any case. Returns pages given back.
size_t zone_table_purge(size_t from, size_t step, bool all, uint64_t *calls);
// Nothing is left for that to return.
bool zone_table_is_settled(void);
// Gives up the promise of memory behind free zones, for a system that counts promises.
void zone_table_decommit(void);
struct zone_table_counts zone_table_counts(void);
void zone_table_after_fork(void);
bool zone_is_free(zone_id zone);
// True when the calling thread was interrupted inside one of these functions. None of them waits for it then.
bool zone_table_is_mine(void);

#endif
