// SPDX-License-Identifier: MIT
// Objects of one class that scenarios take and give: each knows its owner, and what the owner wrote must
// stand. The explorer lets one thread run at a time.
#ifndef TESTS_EXPLORE_SLOTS_H
#define TESTS_EXPLORE_SLOTS_H

#include "explore.h"

#include "core/alloc.h"
#include "core/central.h"
#include "core/init.h"
#include "core/options.h"
#include <stdlib.h>
#include <string.h>

// Eight slots of 4096 bytes in two pages: a slot is as large as a page of the kernel. A scenario may choose
// another size with eight slots.
#ifndef SLOT_SIZE
#define SLOT_SIZE 4096
#endif
#define SLOT_CLASS size_class_of(SLOT_SIZE)
#define SPAN_SLOTS 8
#define SLOTS_MAX 64

struct slots {
    void *objects[SLOTS_MAX];
    unsigned n;
};

static inline void slots_prepare(void)
{
    setenv("TARN_DECAY_MS", "80", 1);
    setenv("TARN_BACKGROUND", "never", 1);
    if (!heap_start())
        abort();
    explore_check(size_class_table[SLOT_CLASS].slots == SPAN_SLOTS &&
                  size_class_table[SLOT_CLASS].size == SLOT_SIZE);
    struct batch *batches[32]; // so that no schedule has to make one
    for (unsigned i = 0; i < 32; i++)
        batches[i] = batch_new();
    for (unsigned i = 0; i < 32; i++)
        batch_recycle(batches[i]);
}

// A block's first and last word name its owner, thread or place; 0 is nobody. Free memory is never written,
// but the kernel clears what is purged.
static inline void slot_mark(void *object, uint64_t owner)
{
    memcpy(object, &owner, sizeof owner);
    memcpy((char *)object + SLOT_SIZE - sizeof owner, &owner, sizeof owner);
}

static inline void slot_expect(const void *object, uint64_t owner)
{
    uint64_t first, last;
    memcpy(&first, object, sizeof first);
    memcpy(&last, (const char *)object + SLOT_SIZE - sizeof last, sizeof last);
    explore_check(first == owner && last == owner);
}

// The caller has the object from now on.
static inline void slots_add(struct slots *self, void *object, uint64_t owner)
{
    slot_expect(object, 0);
    slot_mark(object, owner);
    self->objects[self->n++] = object;
}

static inline unsigned slots_take(struct slots *self, size_t n, uint32_t home, uint64_t owner)
{
    void *objects[SLOTS_MAX];
    size_t taken = central_take(SLOT_CLASS, objects, n, home, CENTRAL_ALL, NULL);
    for (size_t i = 0; i < taken; i++)
        slots_add(self, objects[i], owner);
    return (unsigned)taken;
}

// The last n, checked and no longer the owner's.
static inline void **slots_drop(struct slots *self, unsigned n, uint64_t owner)
{
    explore_check(n <= self->n);
    self->n -= n;
    for (unsigned i = 0; i < n; i++) {
        slot_expect(self->objects[self->n + i], owner);
        slot_mark(self->objects[self->n + i], 0);
    }
    return &self->objects[self->n];
}

static inline void slots_give(struct slots *self, unsigned n, uint64_t owner)
{
    central_give(SLOT_CLASS, slots_drop(self, n, owner), n);
}

// All is given; nothing may be left.
static inline void slots_expect_none(void)
{
    explore_check(central_validate(SLOT_CLASS));
    central_trim(SLOT_CLASS, true);
    central_trim(SLOT_CLASS, true);
    struct central_counts counts = central_counts(SLOT_CLASS);
    explore_check(counts.spans_made == counts.spans_retired);
    explore_check(counts.batch_objects == 0);
    explore_check(central_validate(SLOT_CLASS));
    explore_check(page_heap_validate());
    explore_check(page_heap_counts().used_pages == 0);
}

#endif
