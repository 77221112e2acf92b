// SPDX-License-Identifier: MIT
// A mutual-exclusion lock that parks after a short spin, knows its rank, and knows its owner.
// Any thread. Not recursive; never taken in a signal handler unless with lock_try.
#ifndef TARN_CORE_LOCK_H
#define TARN_CORE_LOCK_H

#include "core/atomics.h"

// Locks are taken in rising rank; debug builds check it (TARN_VALIDATE).
enum lock_rank {
    LOCK_LIMIT,
    LOCK_BACKGROUND,
    LOCK_REGISTRY,
    LOCK_STRIPE,
    LOCK_ZONES,
    LOCK_BATCHES,
    LOCK_META
};

// word: 0 when free, otherwise the holder's thread_key(), plus 1 when somebody may sleep. So the holder has a
// name from the instruction on that makes it the holder, which fork in a signal handler relies on.
struct lock {
    atomic_u32 word;
    uint32_t rank;
};

void lock_init(struct lock *self, enum lock_rank rank);
void lock_take(struct lock *self);
bool lock_try(struct lock *self);
void lock_drop(struct lock *self);
// True when the calling thread holds it: it was interrupted inside the critical section.
bool lock_is_mine(const struct lock *self);
// In a child after fork: frees a lock whose holder does not exist here. True if there was such a holder.
bool lock_reset_after_fork(struct lock *self);

// An even number, not 0, that no other living thread has, and that fork keeps.
uint32_t thread_key(void);

#endif
