// SPDX-License-Identifier: MIT
// Sites: the places in a program that allocate and free, by number, so that two of them fit into a canary.
// Any thread; site_init runs once, before there is a second thread.
#ifndef TARN_CORE_SITE_H
#define TARN_CORE_SITE_H

#include "core/atomics.h"
#include "core/bits.h"
#include "core/sealed.h"
#include <stdbool.h>

struct printer;

#define SITE_BITS 16
#define SITE_MASK ((UINT32_C(1) << SITE_BITS) - 1)

// Addresses behind calls; NULL: not known.
struct sites {
    const void *allocated, *freed;
};

#define NO_SITES ((struct sites){NULL, NULL})

// Where the heap has canaries: makes the table. False without memory for it.
bool site_init(void);
// The number of an address that is not at its first place; 0 when there is no room for it nearby.
uint32_t site_number_slow(uintptr_t address);
// NULL for 0.
const void *site_address(uint32_t number);
// object+0xoffset, from the start of the object's first mapping; the bare address where `maps`, a list of
// mappings such as /proc/self/maps, cannot be read or does not say.
void site_print_in(struct printer *printer, const void *address, const char *maps);

// Neighbours keep their distance, so that the sites of one object fill few pages of the table.
static inline uint32_t site_first_place(uintptr_t address)
{
    return (uint32_t)(address ^ address >> SITE_BITS) & SITE_MASK;
}

// Whether the address's number is its first place, as it mostly is.
static inline bool site_is_at_first_place(const void *address)
{
    return likely(load_relaxed(&sealed.sites[site_first_place((uintptr_t)address)]) == (uintptr_t)address);
}

static inline uint32_t site_number(const void *address)
{
    return site_is_at_first_place(address) ? site_first_place((uintptr_t)address)
                                           : site_number_slow((uintptr_t)address);
}

#endif
