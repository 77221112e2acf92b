// SPDX-License-Identifier: MIT
#include "buddy/move.h"

#include "buddy/zone_table.h"
#include "core/os.h"
#include "core/page_map.h"
#include <string.h>

static atomic_u32 parted_zones; // relaxed: a bound; == the zones with `parted`, but for the moment between

// The kernel's larger pages have bounds of their own. Where address space is short zones come and go by
// themselves.
bool move_is_possible(void)
{
    return load_relaxed(&parted_zones) < MOVE_ZONES_MOST && os_page_size() <= PAGE_SIZE &&
           page_map_is_reserved() && os_can_move();
}

static void part_zone(struct zone *zone)
{
    if (load_relaxed(&zone->parted) == 0 && exchange_relaxed(&zone->parted, 1) == 0)
        fetch_add_relaxed(&parted_zones, 1);
}

void move_forget(struct zone *zone)
{
    if (load_relaxed(&zone->parted) != 0 && exchange_relaxed(&zone->parted, 0) != 0)
        fetch_sub_relaxed(&parted_zones, 1);
}

bool move_range(page_id from, page_id to)
{
    if (!os_move(page_address(from), page_address(to), HUGE_PAGES * PAGE_SIZE))
        return false;
    part_zone(zone_of_page(to));
    return true;
}

size_t move_memory(page_id from, page_id to, size_t n)
{
    size_t done = 0;
    if (huge_begins(from) && huge_begins(to))
        while (n - done >= HUGE_PAGES && move_range(page_behind(from, done), page_behind(to, done)))
            done += HUGE_PAGES;
    memcpy(page_address(page_behind(to, done)), page_address(page_behind(from, done)),
           (n - done) * PAGE_SIZE);
    return done;
}

// A new mapping knows nothing of huge pages: it is told what the window was.
bool move_purge_zone(struct zone *zone)
{
    void *start = zone_address(zone->id);
    if (load_relaxed(&zone->parted) == 0 || !os_renew(start, ZONE_SIZE))
        return os_purge(start, ZONE_SIZE);
    move_forget(zone);
    store_relaxed(&zone->huge, 0);
    huge_keep_small(start, ZONE_SIZE);
    return true;
}
