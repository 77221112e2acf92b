// SPDX-License-Identifier: MIT
// Very many short-lived threads that leave blocks for each other, some of which only free, leave no memory
// behind. usage: thread_churn [THREADS]

#define _GNU_SOURCE
#include "../support/blocks.h"

#include <pthread.h>

enum { SPAWNERS = 4, MARGIN_KIB = 8 << 10 };

static block_slot slots[SLOTS];
static atomic_uint started;
static unsigned wanted;

static size_t churn_size(uint64_t *state)
{
    size_t most = random_next(state) % 16 == 0 ? 20000 : 600;
    return sizeof(block) + 1 + random_next(state) % most;
}

static void *live_shortly(void *seed)
{
    uint64_t state = (uintptr_t)seed;
    for (int i = 0; i < 12; i++)
        slot_exchange(&slots[random_next(&state) % SLOTS], block_new(churn_size(&state)));
    return NULL;
}

static void *only_free(void *seed)
{
    uint64_t state = (uintptr_t)seed;
    for (int i = 0; i < 12; i++)
        slot_exchange(&slots[random_next(&state) % SLOTS], NULL);
    return NULL;
}

static void *spawn_and_join(void *unused)
{
    for (uintptr_t n = atomic_fetch_add(&started, 1); n < wanted; n = atomic_fetch_add(&started, 1)) {
        pthread_t thread;
        expect(pthread_create(&thread, NULL, n % 4 == 3 ? only_free : live_shortly, (void *)n) == 0);
        expect(pthread_join(thread, NULL) == 0);
    }
    return unused;
}

int main(int argc, char **argv)
{
    size_t start = resident_kib();
    pthread_t spawner[SPAWNERS];
    wanted = argument(argc, argv, 1, 200000);
    limit_seconds(120 + wanted / 500);
    for (int i = 0; i < SPAWNERS; i++)
        expect(pthread_create(&spawner[i], NULL, spawn_and_join, NULL) == 0);
    for (int i = 0; i < SPAWNERS; i++)
        expect(pthread_join(spawner[i], NULL) == 0);
    slots_clear(slots);
    expect_heap_is_whole();
    expect_memory_settles(start, MARGIN_KIB);
    return 0;
}
