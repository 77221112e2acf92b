// SPDX-License-Identifier: MIT
#include "kvload/histogram.h"

enum { SLOTS = HISTOGRAM_POWERS * HISTOGRAM_STEPS };

// Values below two rows of steps have a slot each; from there on a row holds one power of two.
static unsigned slot_of(uint64_t value)
{
    if (value < HISTOGRAM_STEPS)
        return (unsigned)value;
    unsigned power = 63u - (unsigned)__builtin_clzll(value);
    unsigned shift = power - HISTOGRAM_STEP_BITS;
    uint64_t slot = ((uint64_t)shift << HISTOGRAM_STEP_BITS) + (value >> shift);
    return slot < SLOTS ? (unsigned)slot : SLOTS - 1;
}

// The largest value that falls into the slot.
static uint64_t slot_end(unsigned slot)
{
    unsigned row = slot >> HISTOGRAM_STEP_BITS;
    if (row < 2)
        return slot;
    unsigned shift = row - 1;
    uint64_t step = slot - (shift << HISTOGRAM_STEP_BITS);
    return ((step + 1) << shift) - 1;
}

void histogram_record(struct histogram *self, uint64_t value)
{
    self->counts[slot_of(value)]++;
    self->total++;
    if (value > self->largest)
        self->largest = value;
}

void histogram_add(struct histogram *self, const struct histogram *other)
{
    for (unsigned i = 0; i < SLOTS; i++)
        self->counts[i] += other->counts[i];
    self->total += other->total;
    if (other->largest > self->largest)
        self->largest = other->largest;
}

uint64_t histogram_quantile(const struct histogram *self, double share)
{
    uint64_t rank = (uint64_t)((double)self->total * share + 0.5), seen = 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        seen += self->counts[i];
        if (seen >= rank && seen > 0)
            return slot_end(i) < self->largest ? slot_end(i) : self->largest;
    }
    return self->largest;
}
