// SPDX-License-Identifier: MIT
// The page map: one 32-bit entry for each page of the heap's window of address space.
// Any thread may read; an entry is written by whoever owns the pages, its home also by who gives slots back.
#ifndef TARN_CORE_PAGE_MAP_H
#define TARN_CORE_PAGE_MAP_H

#include "core/atomics.h"
#include "core/ids.h"
#include "core/sealed.h"
#include <stdbool.h>

// An entry is 0 where no block starts or lies, PAGE_LARGE at the first page of a large block (PAGE_HARDENED
// if hardened.h made it, PAGE_LONE if lone.h did, on the page that it begins on), and
//     home << PAGE_HOME_SHIFT | class << PAGE_CLASS_SHIFT
// on every page of a span of small slots. home >= 1 is the id of the thread cache that last filled from the
// span. The class stands where a byte offset of bins wants it (tcache.h), so that the fast path does not have
// to shift. Entries are relaxed: whoever holds a block got its address through some synchronisation of the
// program's own.
#define PAGE_LARGE 1u
#define PAGE_HARDENED 2u
#define PAGE_LONE 3u
#define PAGE_HOME_SHIFT 8
#define PAGE_CLASS_SHIFT 2
#define PAGE_CLASS_MASK 0xfcu
// A home that no cache has: the span is draining (central.c). What lies below the bit stays the last home's.
#define PAGE_HOME_NONE (UINT32_C(1) << 23)

// Finds the window: `wanted` bytes of reserved address space, or as much less as the kernel grants; where the
// process has an address-space limit the window is only an interval in which zones are reserved one by one.
// False if nothing is to be had.
bool page_map_init(size_t wanted);
// Makes the entries of a zone writable.
bool page_map_open_zone(zone_id zone);

static inline bool page_map_is_reserved(void) { return sealed.map.reserved; }
static inline size_t page_map_zones(void) { return sealed.map.pages / ZONE_PAGES; }
static inline void *page_address(page_id page)
{
    return (void *)(sealed.map.base + ((uintptr_t)page.n << PAGE_SHIFT));
}
static inline void *zone_address(zone_id zone) { return page_address(zone_first_page(zone)); }

// NO_PAGE for an address outside the window.
static inline page_id page_of(const void *p)
{
    uintptr_t n = ((uintptr_t)p - sealed.map.base) >> PAGE_SHIFT;
    return n < sealed.map.pages ? (page_id){(uint32_t)n} : NO_PAGE;
}

static inline uint32_t page_entry_known(page_id page) { return load_relaxed(&sealed.map.entries[page.n]); }

// 0 for NO_PAGE.
static inline uint32_t page_entry(page_id page)
{
    return page.n < sealed.map.pages ? page_entry_known(page) : 0;
}

static inline bool entry_is_small(uint32_t entry) { return (entry & PAGE_CLASS_MASK) != 0; }
static inline unsigned entry_class(uint32_t entry) { return (entry & PAGE_CLASS_MASK) >> PAGE_CLASS_SHIFT; }

static inline void page_map_set(page_id first, size_t n, uint32_t entry)
{
    for (size_t i = 0; i < n; i++)
        store_relaxed(&sealed.map.entries[first.n + i], entry);
}

#endif
