// SPDX-License-Identifier: MIT
// Threads that trade blocks with each other, for a number of steps or until the program has done what it does
// meanwhile. One thread begins and ends them.

#ifndef TESTS_SUPPORT_CROWD_H
#define TESTS_SUPPORT_CROWD_H

#include "blocks.h"

#include <pthread.h>

enum { MOST_THREADS = 64 };

typedef void *thread_function(void *seed);

static block_slot slots[SLOTS];

static struct {
    pthread_t threads[MOST_THREADS];
    unsigned count;
    atomic_bool stopping;
} crowd;

static inline bool crowd_stops(void) { return atomic_load(&crowd.stopping); }

static inline void trade_steps(unsigned steps, uint64_t *state)
{
    for (unsigned i = 0; i < steps; i++)
        slots_trade(slots, state);
}

static inline void *trade_until_stopped(void *seed)
{
    uint64_t state = (uintptr_t)seed;
    be_nice();
    while (!crowd_stops())
        slots_trade(slots, &state);
    return NULL;
}

static inline void *trade_much(void *seed)
{
    uint64_t state = (uintptr_t)seed;
    trade_steps(20000, &state);
    return NULL;
}

// The seeds are 1, 2, ... over all threads of the crowd.
static inline void crowd_begin(unsigned count, thread_function *work)
{
    expect(crowd.count + count <= MOST_THREADS);
    for (unsigned i = 0; i < count; i++) {
        uintptr_t seed = ++crowd.count;
        expect(pthread_create(&crowd.threads[seed - 1], NULL, work, (void *)seed) == 0);
    }
}

static inline void crowd_join(void)
{
    for (unsigned i = 0; i < crowd.count; i++)
        expect(pthread_join(crowd.threads[i], NULL) == 0);
    crowd.count = 0;
}

static inline void crowd_end(void)
{
    atomic_store(&crowd.stopping, true);
    crowd_join();
    slots_clear(slots);
    expect_heap_is_whole();
}

static inline void run_in_thread(thread_function *work, void *seed)
{
    pthread_t thread;
    expect(pthread_create(&thread, NULL, work, seed) == 0);
    expect(pthread_join(thread, NULL) == 0);
}

#endif
