// SPDX-License-Identifier: MIT
#include "core/page_map.h"

#include "core/bits.h"
#include "core/os.h"

// Below this a whole reservation is not worth having: zones are then reserved one by one.
#define RESERVED_LEAST ((size_t)4 << 30)
// Where zones are reserved one by one, the window spans this many times the limit: room to step around other
// mappings.
#define LIMITED_SPREAD 16
#define UNLIMITED_SPREAD ((size_t)64 << 30)
#define PROBE_BYTES ((size_t)1 << 20)

// Entries read as 0 before their zone is opened: any pointer into the window may come to free.
static bool map_entries(size_t window)
{
    sealed.map.pages = window >> PAGE_SHIFT;
    sealed.map.entries = os_map_zeros(sealed.map.pages * sizeof(uint32_t));
    return sealed.map.entries != NULL;
}

static bool take_window(size_t size)
{
    void *base = os_reserve(size, ZONE_SIZE);
    if (base == NULL)
        return false;
    sealed.map.base = (uintptr_t)base;
    sealed.map.reserved = true;
    if (map_entries(size))
        return true;
    os_release(base, size);
    return sealed.map.reserved = false;
}

// The kernel's choice for a probe tells where it places mappings now; the window surrounds that place.
static bool place_window(size_t size)
{
    void *probe = os_map_zeros(PROBE_BYTES);
    if (probe == NULL)
        return false;
    os_release(probe, PROBE_BYTES);
    sealed.map.base = align_down((uintptr_t)probe - min_size(size / 2, (uintptr_t)probe / 2), ZONE_SIZE);
    return map_entries(size);
}

bool page_map_init(size_t wanted)
{
    size_t limit = os_address_space_limit();
    if (sealed.map.entries != NULL)
        return true; // a start that failed further on is tried again
    wanted = align_up(wanted, ZONE_SIZE);
    if (limit == SIZE_MAX)
        for (size_t size = wanted; size >= RESERVED_LEAST; size = align_up(size / 2, ZONE_SIZE))
            if (take_window(size))
                return true;
    size_t spread = limit < wanted / LIMITED_SPREAD ? limit * LIMITED_SPREAD : wanted;
    size_t enough =
        limit == SIZE_MAX ? UNLIMITED_SPREAD : max_size(UNLIMITED_SPREAD, 2 * min_size(limit, wanted));
    return place_window(align_up(max_size(min_size(spread, enough), 2 * ZONE_SIZE), ZONE_SIZE));
}

bool page_map_open_zone(zone_id zone)
{
    return os_commit((void *)&sealed.map.entries[zone_first_page(zone).n], ZONE_PAGES * sizeof(uint32_t));
}
