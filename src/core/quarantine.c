// SPDX-License-Identifier: MIT
#include "core/quarantine.h"

#include "core/atomics.h"
#include "core/page_map.h"
#include "core/random.h"

#define PLACES (QUARANTINE_SMALL + QUARANTINE_MEDIUM)

static _Atomic(void *) places[PLACES];

void *quarantine_exchange(void *p, unsigned cls)
{
    bool small = size_class_size(cls) <= SIZE_CLASS_SMALL_MAX;
    size_t place =
        small ? random_below(QUARANTINE_SMALL) : QUARANTINE_SMALL + random_below(QUARANTINE_MEDIUM);
    return exchange_acq_rel(&places[place], p); // pairs with itself: the slot's mark and zeros go with it
}

void *quarantine_next(size_t *from)
{
    for (; *from < PLACES; ++*from) {
        void *p = load_relaxed(&places[*from]) == NULL ? NULL : exchange_acq_rel(&places[*from], NULL);
        if (p != NULL)
            return p;
    }
    return NULL;
}

void quarantine_count(uint64_t counts[SIZE_CLASS_COUNT])
{
    for (size_t i = 0; i < PLACES; i++) {
        void *p = load_relaxed(&places[i]);
        if (p != NULL)
            counts[entry_class(page_entry(page_of(p)))]++;
    }
}
