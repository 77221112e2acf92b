// SPDX-License-Identifier: MIT
// The registry of all thread caches: descriptors are type-stable, linked once for ever, and used again after
// their thread. registry_first and registry_next: any thread, without locks. The others: any thread.
#ifndef TARN_TCACHE_REGISTRY_H
#define TARN_TCACHE_REGISTRY_H

#include "tcache/tcache.h"

void registry_init(void);
// A descriptor for the calling thread, with a home number of its own and empty bins; NULL without memory.
struct tcache *registry_take(void);
void registry_give(struct tcache *cache);
struct tcache *registry_first(void);
struct tcache *registry_next(struct tcache *cache);
// Rises in each child of fork: caches of an older generation that are live belonged to threads that are not
// here.
uint32_t registry_generation(void);
// Caches taken up in this process: in a child of fork, by itself.
uint32_t registry_starts(void);
// Threads that have a cache now. In a child of fork those that vanished count until their caches are taken
// over.
uint32_t registry_live(void);
void registry_after_fork(void);

#endif
