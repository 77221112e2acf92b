// SPDX-License-Identifier: MIT
// The schedule explorer: runs the library's own code on two or three threads of which one goes on at a time,
// and decides before each atomic access which. Scenarios call it from the threads that it starts.
#ifndef TESTS_EXPLORE_EXPLORE_H
#define TESTS_EXPLORE_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPLORE_THREADS_MAX 3

// start and finish run alone, around each schedule, and leave behind what they found: the same schedule takes
// the same steps each time.
struct explore_scenario {
    const char *name;
    unsigned threads;
    unsigned preemptions;  // all schedules with at most so many are tried
    unsigned randoms;      // and so many random ones
    uint64_t stall_ms;     // not 0: a preempted thread may also stand still for that long while time passes
    void (*prepare)(void); // once, before anything else; NULL: nothing
    void (*start)(void);
    void (*thread)(unsigned i);
    // All threads that have not ended sleep, and nothing will wake them. The scenario looks whether that is
    // right, and wakes them. NULL: it never is.
    void (*idle)(void);
    void (*finish)(void);
};

// Options: see docs/explorer.md. Returns what main returns.
int explore_main(const struct explore_scenario *scenario, int argc, char **argv);

_Noreturn void explore_fail(const char *file, int line, const char *what);
#define explore_check(condition)                                                                             \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            explore_fail(__FILE__, __LINE__, #condition);                                                    \
    } while (0)

// Before an access that others may see: another thread may go on here.
void explore_step(const char *file, int line);
// The process forked inside a scenario's thread: from here on, in the child, that thread runs as any other
// does.
void explore_leave(void);

// What the kernel does for the library while schedules are explored (os.c). Time stands still until every
// thread that can go on has ended or sleeps.
bool explore_runs(void);
void explore_yield(void);
void explore_park(const void *word, uint64_t ms); // ms == UINT64_MAX: without a limit
void explore_unpark(const void *word, unsigned n);
uint64_t explore_now_ms(void);
unsigned explore_self(void);
extern size_t explore_page_size; // the kernel's, where a scenario wants another than there is; else 0

#endif
