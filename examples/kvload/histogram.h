// SPDX-License-Identifier: MIT
// Counts of durations: every power of two is cut into equal steps, so that a value is known to within 1.6 %.
// Owned by one thread; the owners' histograms are added up when they have ended.
#ifndef KVLOAD_HISTOGRAM_H
#define KVLOAD_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_STEP_BITS = 6,
    HISTOGRAM_STEPS = 1 << HISTOGRAM_STEP_BITS,
    HISTOGRAM_POWERS = 36, // up to about 70 minutes in nanoseconds; longer ones count as that
};

struct histogram {
    uint64_t total, largest;
    uint64_t counts[HISTOGRAM_POWERS * HISTOGRAM_STEPS];
};

void histogram_record(struct histogram *self, uint64_t value);
void histogram_add(struct histogram *self, const struct histogram *other);

// The value that `share` (0 to 1) of all recorded ones do not exceed.
uint64_t histogram_quantile(const struct histogram *self, double share);

#endif
