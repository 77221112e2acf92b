// SPDX-License-Identifier: MIT
// Handlers of pthread_atfork that allocate, free and fork once more, while other threads allocate: a fork
// within each of the three handlers of a fork. usage: fork_in_atfork [FORKS]

#define _GNU_SOURCE
#include "../support/crowd.h"

enum { THREADS = 4 };

static bool nested; // of the forking thread; the handlers' own forks run the handlers too
static uint64_t state = 17;
static unsigned forks_in_handlers;

static void trade_a_little(void) { trade_steps(30, &state); }

static void fork_within(void)
{
    trade_a_little();
    if (nested)
        return;
    nested = true;
    pid_t child = fork();
    if (child == 0) {
        limit_seconds(60);
        trade_a_little();
        expect_heap_is_whole();
        _exit(0);
    }
    expect_child_exits(child, 0);
    nested = false;
    forks_in_handlers++;
}

static void *trade_in_thread(void *unused)
{
    trade_a_little();
    return unused;
}

static void live_as_child(void)
{
    limit_seconds(60);
    expect(forks_in_handlers % 3 == 2); // in prepare, before this process was, and in its own handler
    trade_a_little();
    run_in_thread(trade_in_thread, NULL);
    expect_heap_is_whole();
    exit(0);
}

int main(int argc, char **argv)
{
    unsigned forks = argument(argc, argv, 1, 1000);
    limit_seconds(120 + 3 * forks);
    expect(pthread_atfork(fork_within, fork_within, fork_within) == 0);
    crowd_begin(THREADS, trade_until_stopped);
    for (unsigned i = 0; i < forks; i++) {
        forks_in_handlers = 0;
        pid_t child = fork();
        if (child == 0)
            live_as_child();
        expect_child_exits(child, 0);
        expect(forks_in_handlers == 2); // in prepare and in the parent's
    }
    crowd_end();
    return 0;
}
