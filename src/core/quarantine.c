// SPDX-License-Identifier: MIT
#include "core/quarantine.h"

#include "core/page_map.h"

void quarantine_seed(struct quarantine *self) { self->random = random_bits(); }

void *quarantine_next(struct quarantine *self, size_t *from)
{
    for (; *from < QUARANTINE_PLACES; ++*from) {
        void *p = load_relaxed(&self->places[*from]);
        store_relaxed(&self->places[*from], NULL);
        if (p != NULL)
            return p;
    }
    return NULL;
}

void quarantine_count_shared(struct quarantine *self, uint64_t counts[SIZE_CLASS_COUNT])
{
    for (size_t i = 0; i < QUARANTINE_PLACES; i++) {
        void *p = load_relaxed(&self->places[i]);
        if (p != NULL)
            counts[entry_class(page_entry(page_of(p)))]++;
    }
}
