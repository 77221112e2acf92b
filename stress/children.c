// SPDX-License-Identifier: MIT
// Children of fork: each finds a whole heap, uses it and ends well, which its parent waits for. A fork comes
// between two steps of a worker, or from a signal handler that interrupted one.
#define _GNU_SOURCE
#include "../tests/support/checks.h"
#include "core/tsan.h"
#include "modes.h"
#include "weather.h"

#include <errno.h>
#include <sys/prctl.h>
#include <tarn/tarn.h>
#include <time.h>

#ifndef sigev_notify_thread_id // glibc has no name for this field
#define sigev_notify_thread_id _sigev_un._tid
#endif

// ThreadSanitizer's runtime does not work in the child of a process with threads, and AddressSanitizer's
// cannot start threads there.
#if TARN_TSAN
enum { CAN_FORK = 0 };
#else
enum { CAN_FORK = 1 };
#endif
#if defined(__SANITIZE_ADDRESS__)
enum { CAN_START_THREADS = 0 };
#else
enum { CAN_START_THREADS = 1 };
#endif

static void use_heap(struct worker *self)
{
    for (int i = 0; i < 200; i++)
        step_churn(self);
    if (CAN_START_THREADS && rng_one_in(&self->maker.rng, 2))
        step_threads(self);
}

// The other workers are gone in the middle of something; what this one holds is its own.
static _Noreturn void live_as_child(struct worker *self)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); // its parent looks for a hang
    threads_after_fork();
    weather_set(WEATHER_FAIR);
    if (rng_one_in(&self->maker.rng, 4) && tarn_validate() != 0)
        fault("an invariant does not hold in a child");
    use_heap(self);
    if (rng_one_in(&self->maker.rng, 4)) {
        worker_clear(self);
        if (tarn_validate() != 0)
            fault("an invariant does not hold at a child's end");
    }
    if (rng_one_in(&self->maker.rng, 4))
        execl("/bin/true", "true", (char *)NULL);
    _exit(0);
}

static void await(struct worker *self, pid_t child)
{
    expect_child_exits(child, 0);
    self->children++;
}

void step_fork(struct worker *self)
{
    for (int i = 0; i < 100; i++)
        step_churn(self);
    if (!CAN_FORK)
        return;
    threads_hold();
    pid_t child = fork();
    if (child == 0)
        live_as_child(self);
    threads_release();
    await(self, child);
}

// --- From a signal handler.

static _Thread_local struct {
    volatile sig_atomic_t arrived, in_child;
    volatile pid_t child;
} interruption;

static void interrupt(int number)
{
    (void)number;
    int before = errno;
    pid_t child = CAN_FORK ? fork() : 0;
    interruption.in_child = CAN_FORK && child == 0;
    interruption.child = child;
    interruption.arrived = 1;
    errno = before;
}

void children_init(void)
{
    const struct sigaction action = {.sa_handler = interrupt};
    if (sigaction(SIGUSR1, &action, NULL) != 0)
        fault("no signal handler");
}

static timer_t start_timer(struct rng *rng)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    const struct itimerspec once = {.it_value = {.tv_nsec = 10000 + (long)rng_below(rng, 300000)}};
    event.sigev_notify_thread_id = gettid();
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || timer_settime(timer, 0, &once, NULL) != 0)
        fault("no timer");
    return timer;
}

// In the child the handler returns into the interrupted call, which must come to its end there too.
void step_signals(struct worker *self)
{
    interruption.arrived = 0;
    threads_hold();
    timer_t timer = start_timer(&self->maker.rng);
    while (!interruption.arrived)
        step_churn(self);
    if (interruption.in_child)
        live_as_child(self);
    threads_release();
    timer_delete(timer);
    if (CAN_FORK)
        await(self, interruption.child);
}
