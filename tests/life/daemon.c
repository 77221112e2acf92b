// SPDX-License-Identifier: MIT
// daemon() while other threads allocate: the process that goes on is a child of fork, whose parent has ended.
// It uses the heap, starts a thread, and tells through a pipe that it came to its end. usage: daemon [TIMES]

#define _GNU_SOURCE
#include "../support/blocks.h"

#include <pthread.h>

enum { THREADS = 4 };

static block_slot slots[SLOTS];

static void *trade_for_ever(void *seed)
{
    uint64_t state = (uintptr_t)seed;
    be_nice();
    for (;;)
        slots_trade(slots, &state);
    return NULL;
}

static void *trade_a_little(void *seed)
{
    uint64_t state = (uintptr_t)seed;
    for (int i = 0; i < 100; i++)
        slots_trade(slots, &state);
    return NULL;
}

static void live_as_daemon(int report)
{
    pthread_t thread;
    limit_seconds(60);
    trade_a_little((void *)(uintptr_t)5);
    expect(pthread_create(&thread, NULL, trade_a_little, (void *)(uintptr_t)6) == 0);
    expect(pthread_join(thread, NULL) == 0);
    slots_clear(slots);
    expect_heap_is_whole();
    expect(write(report, "!", 1) == 1);
    exit(0);
}

static void become_daemon(int report)
{
    pthread_t thread;
    for (uintptr_t i = 0; i < THREADS; i++)
        expect(pthread_create(&thread, NULL, trade_for_ever, (void *)(i + 1)) == 0);
    trade_a_little((void *)(uintptr_t)7);
    expect(daemon(1, 1) == 0);
    live_as_daemon(report);
}

int main(int argc, char **argv)
{
    unsigned times = argument(argc, argv, 1, 200);
    limit_seconds(120 + times);
    for (unsigned i = 0; i < times; i++) {
        int ends[2];
        char answer = 0;
        expect(pipe(ends) == 0);
        pid_t child = fork();
        if (child == 0)
            become_daemon(ends[1]);
        close(ends[1]);
        expect_child_exits(child, 0);
        expect(read(ends[0], &answer, 1) == 1 && answer == '!');
        close(ends[0]);
    }
    return 0;
}
