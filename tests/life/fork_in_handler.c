// SPDX-License-Identifier: MIT
// A timer's signal interrupts a thread anywhere, most often within malloc or free, and the handler forks.  In
// the child the handler returns into the interrupted call; child and parent both go on working. usage:
// fork_in_handler [FORKS]

#define _GNU_SOURCE
#include "../support/crowd.h"

#include <errno.h>
#include <semaphore.h>
#include <time.h>

enum { THREADS = 6 };

static atomic_bool in_child;
static atomic_int forked;
static sem_t handler_done;

static void fork_here(int number)
{
    int before = errno;
    (void)number;
    pid_t child = fork();
    if (child == 0) {
        atomic_store(&in_child, true);
    } else {
        atomic_store(&forked, child);
        sem_post(&handler_done);
    }
    errno = before;
}

static void *trade_a_little(void *seed)
{
    uint64_t state = (uintptr_t)seed;
    trade_steps(40, &state);
    return NULL;
}

static void live_as_child(uint64_t state)
{
    limit_seconds(60);
    trade_a_little((void *)(uintptr_t)state);
    run_in_thread(trade_a_little, (void *)(uintptr_t)~state);
    slots_clear(slots);
    expect_heap_is_whole();
    exit(0);
}

static void *trade_and_be_interrupted(void *seed)
{
    uint64_t state = (uintptr_t)seed;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    while (!crowd_stops()) {
        slots_trade(slots, &state);
        if (atomic_load(&in_child))
            live_as_child(state);
    }
    return NULL;
}

// The main thread keeps the signal blocked, so that always one of the others is interrupted.
static timer_t prepare_signal(void)
{
    timer_t timer;
    sigset_t set;
    struct sigaction action = {.sa_handler = fork_here};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    expect(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    expect(sigaction(SIGUSR1, &action, NULL) == 0);
    expect(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    expect(sem_init(&handler_done, 0, 0) == 0);
    return timer;
}

static void interrupt_somebody(timer_t timer, uint64_t *state)
{
    long delay_ns = 10000 + (long)(random_next(state) % 300000);
    struct itimerspec once = {.it_value = {0, delay_ns}};
    expect(timer_settime(timer, 0, &once, NULL) == 0);
    while (sem_wait(&handler_done) != 0)
        expect(errno == EINTR);
    expect_child_exits(atomic_load(&forked), 0);
}

int main(int argc, char **argv)
{
    unsigned forks = argument(argc, argv, 1, 2000);
    uint64_t state = 99;
    limit_seconds(120 + forks); // only a hang takes that long, on however busy a machine
    timer_t timer = prepare_signal();
    crowd_begin(THREADS, trade_and_be_interrupted);
    for (unsigned i = 0; i < forks; i++)
        interrupt_somebody(timer, &state);
    crowd_end();
    return 0;
}
