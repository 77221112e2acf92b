// SPDX-License-Identifier: MIT
// A quarantine: a thread's freed slots wait here for any number of its further frees before they can be
// handed out again. The owner thread only; counts may be read by anybody.
#ifndef TARN_CORE_QUARANTINE_H
#define TARN_CORE_QUARANTINE_H

#include "core/atomics.h"
#include "core/random.h"
#include "core/size_class.h"

// Bounds on memory: so many slots of up to 1 KiB, and so many larger ones. Powers of two.
#define QUARANTINE_SMALL_SHIFT 8
#define QUARANTINE_MEDIUM_SHIFT 4
#define QUARANTINE_SMALL ((size_t)1 << QUARANTINE_SMALL_SHIFT)
#define QUARANTINE_MEDIUM ((size_t)1 << QUARANTINE_MEDIUM_SHIFT)
#define QUARANTINE_PLACES (QUARANTINE_SMALL + QUARANTINE_MEDIUM)

// A place holds a slot or nothing, NULL, so it is whole for the child of a fork. Relaxed: others only count.
struct quarantine {
    uint64_t random; // decides which place is next
    _Atomic(void *) places[QUARANTINE_PLACES];
};

// Seeds it; in the child of a fork too.
void quarantine_seed(struct quarantine *self);
// Takes any slot out; NULL when there is none. *from, 0 at first, is where the search goes on.
void *quarantine_next(struct quarantine *self, size_t *from);
// Adds the number of slots that wait to their classes' counts.
void quarantine_count_shared(struct quarantine *self, uint64_t counts[SIZE_CLASS_COUNT]);

// Puts a free slot of that size in; returns the one that had to leave its place, chosen by chance, or NULL.
static inline void *quarantine_exchange(struct quarantine *self, void *p, size_t size)
{
    uint64_t random = self->random; // the step is for the next one, which need not wait for it then
    random_step(&self->random);
    size_t place = likely(size <= SIZE_CLASS_SMALL_MAX)
                       ? random >> (64 - QUARANTINE_SMALL_SHIFT)
                       : QUARANTINE_SMALL + (random >> (64 - QUARANTINE_MEDIUM_SHIFT));
    void *left = load_relaxed(&self->places[place]);
    store_relaxed(&self->places[place], p);
    return left;
}

#endif
