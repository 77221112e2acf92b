// SPDX-License-Identifier: MIT
// fork: what the child does to be whole.
// fork_init: once, at the start.
#ifndef TARN_CORE_FORK_H
#define TARN_CORE_FORK_H

#include "core/atomics.h"

void fork_init(void);
// Forks that this process descends from since the heap started.
uint32_t fork_count(void);

#endif
