// SPDX-License-Identifier: MIT
// Identifiers: heap pages, zones and stripes are numbers of different kinds, so they are different types.
// Plain values.
#ifndef TARN_CORE_IDS_H
#define TARN_CORE_IDS_H

#include <limits.h> // first: some C libraries define a PAGE_SIZE there, the kernel's, which is not meant here
#include <stddef.h>
#include <stdint.h>

// The heap's unit of page memory. Sixteen KiB holds a useful number of small slots, and a zone's page state
// still fits into a few cache lines. It is independent of the kernel's page size.
#define PAGE_SHIFT 14
#undef PAGE_SIZE
#define PAGE_SIZE ((size_t)1 << PAGE_SHIFT)
#define ZONE_SHIFT 25
#define ZONE_SIZE ((size_t)1 << ZONE_SHIFT)
#define ZONE_PAGES (ZONE_SIZE / PAGE_SIZE)

// A page's number counts from the start of the heap's window of address space (page_map.h).
typedef struct {
    uint32_t n;
} page_id;

typedef struct {
    uint32_t n;
} zone_id;

#define NO_PAGE ((page_id){UINT32_MAX})
#define NO_ZONE ((zone_id){UINT32_MAX})

static inline zone_id page_zone(page_id page) { return (zone_id){page.n / (uint32_t)ZONE_PAGES}; }
static inline size_t page_in_zone(page_id page) { return page.n % (uint32_t)ZONE_PAGES; }
static inline page_id zone_first_page(zone_id zone) { return (page_id){zone.n * (uint32_t)ZONE_PAGES}; }
static inline page_id page_behind(page_id first, size_t n) { return (page_id){first.n + (uint32_t)n}; }
static inline size_t pages_for(size_t bytes) { return (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT; }

#endif
