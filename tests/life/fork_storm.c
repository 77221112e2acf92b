// SPDX-License-Identifier: MIT
// Threads allocate, free and exchange blocks while the main thread forks again and again.  Each child finds a
// whole heap: it frees what the parent's threads allocated, allocates, starts a thread and exits through the
// exit handlers, or executes another program. usage: fork_storm [FORKS [THREADS]]

#define _GNU_SOURCE
#include "../support/blocks.h"

#include <pthread.h>

static block_slot slots[SLOTS];
static atomic_bool stopping;

static void *trade_until_stopped(void *seed)
{
    uint64_t state = (uintptr_t)seed;
    be_nice();
    while (!atomic_load(&stopping))
        slots_trade(slots, &state);
    return NULL;
}

static void *trade_a_little(void *seed)
{
    uint64_t state = (uintptr_t)seed;
    for (int i = 0; i < 30; i++)
        slots_trade(slots, &state);
    return NULL;
}

static void start_and_join_thread(uintptr_t seed)
{
    pthread_t thread;
    expect(pthread_create(&thread, NULL, trade_a_little, (void *)seed) == 0);
    expect(pthread_join(thread, NULL) == 0);
}

static void live_as_child(unsigned number)
{
    limit_seconds(60);
    if (number % 8 == 0)
        expect_heap_is_whole();
    for (int i = 0; i < SLOTS; i += 8)
        slot_exchange(&slots[i], NULL);
    trade_a_little((void *)(uintptr_t)(number + 1));
    start_and_join_thread(number + 2);
    if (number % 8 == 0) {
        slots_clear(slots);
        expect_heap_is_whole();
    }
    if (number % 4 == 3)
        execl("/bin/true", "true", (char *)NULL);
    exit(0);
}

// Every tenth child forks once more: the handlers must work in a child as in a first process.
static void live_as_parent_and_child(unsigned number)
{
    limit_seconds(60);
    trade_a_little((void *)(uintptr_t)(number + 3));
    pid_t grandchild = fork();
    if (grandchild == 0)
        live_as_child(number);
    expect_child_exits(grandchild, 0);
    live_as_child(number);
}

static void fork_once(unsigned number)
{
    pid_t child = fork();
    if (child == 0 && number % 10 == 9)
        live_as_parent_and_child(number);
    if (child == 0)
        live_as_child(number);
    expect_child_exits(child, 0);
}

int main(int argc, char **argv)
{
    enum { MOST_THREADS = 64 };
    unsigned forks = argument(argc, argv, 1, 2000);
    unsigned threads = argument(argc, argv, 2, 8);
    pthread_t thread[MOST_THREADS];
    expect(threads <= MOST_THREADS);
    limit_seconds(120 + forks); // only a hang takes that long, on however busy a machine
    for (unsigned i = 0; i < threads; i++)
        expect(pthread_create(&thread[i], NULL, trade_until_stopped, (void *)(uintptr_t)(i + 1)) == 0);
    for (unsigned i = 0; i < forks; i++)
        fork_once(i);
    atomic_store(&stopping, true);
    for (unsigned i = 0; i < threads; i++)
        expect(pthread_join(thread[i], NULL) == 0);
    slots_clear(slots);
    expect_heap_is_whole();
    return 0;
}
