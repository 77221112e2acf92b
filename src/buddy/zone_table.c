// SPDX-License-Identifier: MIT
#include "buddy/zone_table.h"

#include "buddy/move.h"
#include "core/limit.h"
#include "core/lock.h"
#include "core/meta.h"
#include "core/os.h"
#include "core/page_map.h"

enum { ABSENT, FREE, TAKEN };

static struct {
    struct lock lock;
    uint8_t *state;                  // guarded by lock
    size_t lowest_free;              // guarded by lock; no zone below is free or absent
    atomic_u64 end;                  // relaxed; only grows
    uint64_t free_zones, free_dirty; // guarded by lock
} table;

bool zone_table_init(void)
{
    lock_init(&table.lock, LOCK_ZONES);
    if (sealed.zones == NULL) // first: the states then begin in the page that describes both
        sealed.zones = meta_alloc(page_map_zones() * sizeof *sealed.zones, sizeof(void *));
    if (table.state == NULL)
        table.state = meta_alloc(page_map_zones(), 1);
    return table.state != NULL && sealed.zones != NULL;
}

size_t zone_table_end(void) { return load_relaxed(&table.end); }

static struct zone *make_zone_locked(zone_id id)
{
    struct zone *zone = zone_at(id);
    if (zone == NULL) {
        zone = page_map_open_zone(id) ? meta_alloc(sizeof *zone, CACHE_LINE) : NULL;
        if (zone == NULL)
            return NULL;
        zone_init(zone, id);
        store_release(&sealed.zones[id.n], zone); // pairs with zone_at
    }
    if (id.n >= load_relaxed(&table.end))
        store_relaxed(&table.end, (uint64_t)id.n + 1);
    return zone;
}

static bool back_zone_locked(zone_id id)
{
    if (!page_map_is_reserved() && !os_reserve_at(zone_address(id), ZONE_SIZE))
        return false;
    if (os_commit(zone_address(id), ZONE_SIZE))
        return true;
    if (!page_map_is_reserved())
        os_release(zone_address(id), ZONE_SIZE);
    return false;
}

static bool acquire_locked(zone_id id)
{
    if (table.state[id.n] == TAKEN)
        return false;
    struct zone *zone = make_zone_locked(id);
    if (zone == NULL || (table.state[id.n] == ABSENT && !back_zone_locked(id)))
        return false;
    if (table.state[id.n] == FREE) {
        table.free_zones--;
        table.free_dirty -= zone->dirty_pages;
    }
    table.state[id.n] = TAKEN;
    return true;
}

static bool is_described(const struct zone *zone)
{
    return !zone_keeps_descriptors() && bits_find_set(zone->described, 0, DESCRIBED_PARTS) != DESCRIBED_PARTS;
}

// They read as zeros from then on, as in a zone that was never in use.
static void purge_descriptors(struct zone *zone)
{
    if (is_described(zone))
        zone_forget_described(zone, (struct zone_described){0, sizeof zone->descriptors});
    bits_clear_range(zone->described, 0, DESCRIBED_PARTS);
}

static void forget_memory(struct zone *zone)
{
    purge_descriptors(zone);
    limit_discharge(zone->dirty_pages * PAGE_SIZE);
    zone->dirty_pages = 0;
    bits_clear_range(zone->dirty, 0, ZONE_PAGES);
    bits_clear_range(zone->aged, 0, ZONE_PAGES);
}

// Where zones are reserved one by one, address space is what is short: a free zone's goes back at once.
static void surrender_locked(zone_id id)
{
    struct zone *zone = zone_at(id);
    if (id.n < table.lowest_free)
        table.lowest_free = id.n;
    if (!page_map_is_reserved()) {
        os_release(zone_address(id), ZONE_SIZE);
        forget_memory(zone);
        table.state[id.n] = ABSENT;
        return;
    }
    table.state[id.n] = FREE;
    table.free_zones++;
    table.free_dirty += zone->dirty_pages;
}

static bool acquire_run_locked(size_t first, size_t n, size_t *next_try)
{
    for (size_t i = 0; i < n; i++) {
        if (acquire_locked((zone_id){(uint32_t)(first + i)}))
            continue;
        *next_try = first + i + 1;
        while (i-- > 0)
            surrender_locked((zone_id){(uint32_t)(first + i)});
        return false;
    }
    return true;
}

static zone_id take_locked(size_t n, size_t align)
{
    size_t zones = page_map_zones();
    size_t base = sealed.map.base >> ZONE_SHIFT; // alignment counts in addresses, not in zone numbers
    while (table.lowest_free < zones && table.state[table.lowest_free] == TAKEN)
        table.lowest_free++;
    // Past the first absent zones behind the end there is nothing new to find, so a refusing kernel ends the
    // search.
    size_t last = min_size(zones, (size_t)load_relaxed(&table.end) + n + align + 64);
    for (size_t first = table.lowest_free; first + n <= last;) {
        first = align_up(base + first, align) - base;
        size_t next = first + 1;
        if (first + n <= zones && acquire_run_locked(first, n, &next))
            return (zone_id){(uint32_t)first};
        first = next;
    }
    return NO_ZONE;
}

bool zone_table_is_mine(void) { return lock_is_mine(&table.lock); }

// A child of fork in a signal handler may have interrupted itself in here; to wait would be to wait for
// itself. What it asks for is refused then, what it gives is lost to it, and what it counts may be amiss.
static bool enter(void)
{
    if (unlikely(zone_table_is_mine()))
        return false;
    lock_take(&table.lock);
    return true;
}

zone_id zone_table_take(size_t n, size_t align)
{
    if (n > page_map_zones() || !enter())
        return NO_ZONE;
    zone_id zone = take_locked(n, align);
    lock_drop(&table.lock);
    return zone;
}

bool zone_table_take_at(zone_id zone)
{
    if (!enter())
        return false;
    bool taken = zone.n < page_map_zones() && table.state[zone.n] == FREE && acquire_locked(zone);
    lock_drop(&table.lock);
    return taken;
}

void zone_table_give(zone_id zone)
{
    if (!enter())
        return;
    surrender_locked(zone);
    lock_drop(&table.lock);
}

static bool is_due(const struct zone *zone, bool all)
{
    if (zone->dirty_pages == 0)
        return is_described(zone) || load_relaxed(&zone->parted) != 0;
    return all || bits_find_set(zone->aged, 0, ZONE_PAGES) != ZONE_PAGES;
}

static struct zone *take_due_locked(size_t n, bool all)
{
    if (table.state[n] != FREE)
        return NULL;
    struct zone *zone = zone_at((zone_id){(uint32_t)n});
    if (is_due(zone, all) && acquire_locked(zone->id))
        return zone;
    zone_age(zone, 0, ZONE_PAGES);
    return NULL;
}

// The zone is taken meanwhile, so the kernel's work is done without the lock.
static size_t purge_one(size_t n, bool all)
{
    if (!enter())
        return 0;
    struct zone *zone = take_due_locked(n, all);
    lock_drop(&table.lock);
    if (zone == NULL)
        return 0;
    size_t pages = zone->dirty_pages;
    if ((pages == 0 && load_relaxed(&zone->parted) == 0) || move_purge_zone(zone))
        forget_memory(zone);
    else
        pages = 0;
    zone_table_give(zone->id);
    return pages;
}

size_t zone_table_purge(size_t from, size_t step, bool all, uint64_t *calls)
{
    size_t pages = 0;
    for (size_t n = from; n < zone_table_end(); n += step) {
        size_t purged = purge_one(n, all);
        pages += purged;
        *calls += purged != 0;
    }
    return pages;
}

bool zone_table_is_settled(void)
{
    if (!enter())
        return false;
    bool settled = table.free_dirty == 0;
    for (size_t n = 0; settled && n < zone_table_end(); n++)
        settled = table.state[n] != FREE || !is_described(zone_known((zone_id){(uint32_t)n}));
    lock_drop(&table.lock);
    return settled;
}

void zone_table_decommit(void)
{
    if (!enter())
        return;
    for (size_t n = 0; n < zone_table_end(); n++)
        if (table.state[n] == FREE && acquire_locked((zone_id){(uint32_t)n})) {
            struct zone *zone = zone_known((zone_id){(uint32_t)n});
            os_decommit(zone_address(zone->id), ZONE_SIZE);
            forget_memory(zone);
            move_forget(zone);
            table.state[n] = ABSENT;
        }
    lock_drop(&table.lock);
}

struct zone_table_counts zone_table_counts(void)
{
    bool entered = enter();
    struct zone_table_counts counts = {table.free_zones, table.free_dirty, 0};
    for (size_t n = 0; n < zone_table_end(); n++)
        counts.opened_zones += table.state[n] != ABSENT;
    if (entered)
        lock_drop(&table.lock);
    return counts;
}

bool zone_is_free(zone_id zone) { return table.state[zone.n] == FREE; }

// A zone that a vanished thread had taken stays taken: its address space is lost to the child, its heap is
// whole.
void zone_table_after_fork(void)
{
    if (!lock_reset_after_fork(&table.lock))
        return;
    table.lowest_free = 0;
    table.free_zones = table.free_dirty = 0;
    for (size_t n = 0; n < zone_table_end(); n++)
        if (table.state[n] == FREE) {
            zone_repair(zone_at((zone_id){(uint32_t)n}));
            table.free_zones++;
            table.free_dirty += zone_at((zone_id){(uint32_t)n})->dirty_pages;
        }
}
