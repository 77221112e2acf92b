// SPDX-License-Identifier: MIT
// Residency: asks the kernel which memory of the heap is resident, and says for what.
// Any thread, without stopping others; takes milliseconds for each GiB.
#ifndef TARN_CORE_RESIDENT_H
#define TARN_CORE_RESIDENT_H

#include "core/stats.h"

// Fills in the statistics of resident memory; the others are there already. The parts are rss_bytes together.
void resident_take(struct stats *stats);

#endif
