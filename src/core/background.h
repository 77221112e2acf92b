// SPDX-License-Identifier: MIT
// The background thread: gives memory back in a process that has gone idle. There is at most one; it sleeps
// without a time limit while nothing decays, and takes no signals. Any thread.
#ifndef TARN_CORE_BACKGROUND_H
#define TARN_CORE_BACKGROUND_H

#include "core/decay.h"
#include <stdbool.h>

void background_start(void);

// At the end of an allocation's slow path, when the caller holds nothing and its cache is whole: starting a
// thread allocates.
static inline void background_ensure(void)
{
    if (unlikely(load_relaxed(&decay_keeper) == KEEPER_WANTED))
        background_start();
}

// Between hold and release the thread moves nothing: layers can be compared. False, and nothing to release,
// when the caller holds it already (a handler interrupted it).
bool background_hold(void);
void background_release(void);

// The process ends: returns when the thread has come to its end, or after a tenth of a second.
void background_stop(void);
// The child has no such thread; it gets one of its own when it needs one.
void background_after_fork(void);

#endif
