// SPDX-License-Identifier: MIT
// The start of the heap, at the first call that needs it, whichever that is.
// Any thread.
#ifndef TARN_CORE_INIT_H
#define TARN_CORE_INIT_H

#include <stdbool.h>

// Starts the heap if that has not happened yet. False when the kernel refuses even the first memory; a later
// call tries again.
bool heap_start(void);
bool heap_has_started(void);

#endif
