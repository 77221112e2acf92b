// SPDX-License-Identifier: MIT
// What is written once, at the start of the heap, and only read afterwards, alone on a page: from level 1 of
// TARN_HARDEN on nothing can write to it once the heap has started. Any thread may read; only the start
// writes, before there is a second thread, each header's source what is its own.
#ifndef TARN_CORE_SEALED_H
#define TARN_CORE_SEALED_H

#include "core/atomics.h"
#include "core/size_class.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEALED_PAGE 4096

struct zone;

union sealed {
    struct {
        // harden.h
        atomic_u32 level;    // relaxed: whoever has a block has seen the start of the heap
        uint32_t sample;     // at HARDEN_LONE one request in so many, as long as there are guards in plenty
        uint64_t secrets[2]; // the second is odd

        // page_map.h: the window of address space
        struct {
            uintptr_t base; // its first address
            size_t pages;
            atomic_u32 *entries;
            bool reserved; // all of it is
        } map;

        // zone_table.h: NULL where a zone was never taken. Set once each; release in zone_table.c pairs with
        // zone_at.
        _Atomic(struct zone *) *zones;

        // site.h: a site's number is its place in here. A place is empty, 0, or holds its address for ever;
        // that of number 0 stays empty. Relaxed: only messages follow from it.
        atomic_uptr *sites;

        // alloc.h: map.pages, but none where canaries are wanted: there realloc and malloc_usable_size take
        // their slow halves.
        size_t quick_pages;

        // central.c: most batches in a shard.
        uint8_t parked_bound[SIZE_CLASS_COUNT];
        // tcache.c: most objects in a bin, 0 where the class is not cached; the same for a thread whose free
        // objects rise and fall by more than two batches.
        uint8_t capacity_limit[SIZE_CLASS_COUNT], wave_limit[SIZE_CLASS_COUNT];
    };
    unsigned char page[SEALED_PAGE];
};

extern union sealed sealed __attribute__((visibility("hidden")));

// The start is complete. Where the kernel's pages are larger the page is shared with others, and stays open.
void sealed_close(void);

#endif
