// SPDX-License-Identifier: MIT
// Threads allocate, free and exchange blocks while the main thread forks again and again.  Each child finds a
// whole heap: it frees what the parent's threads allocated, allocates, starts a thread and exits through the
// exit handlers, or executes another program. usage: fork_storm [FORKS [THREADS]]

#define _GNU_SOURCE
#include "../support/crowd.h"

static void *trade_a_little(void *seed)
{
    uint64_t state = (uintptr_t)seed;
    trade_steps(30, &state);
    return NULL;
}

static void live_as_child(unsigned number)
{
    limit_seconds(60);
    if (number % 8 == 0)
        expect_heap_is_whole();
    for (int i = 0; i < SLOTS; i += 8)
        slot_exchange(&slots[i], NULL);
    trade_a_little((void *)(uintptr_t)(number + 1));
    run_in_thread(trade_a_little, (void *)(uintptr_t)(number + 2));
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
    unsigned forks = argument(argc, argv, 1, 2000);
    unsigned threads = argument(argc, argv, 2, 8);
    limit_seconds(120 + forks); // only a hang takes that long, on however busy a machine
    crowd_begin(threads, trade_until_stopped);
    for (unsigned i = 0; i < forks; i++)
        fork_once(i);
    crowd_end();
    return 0;
}
