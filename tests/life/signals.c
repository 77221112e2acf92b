// SPDX-License-Identifier: MIT
// Threads allocate while signals arrive all the time, whose handlers do nothing but interrupt: no call of the
// family may fail or touch errno because of one. usage: signals [MILLISECONDS]

#define _GNU_SOURCE
#include "../support/blocks.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

enum { THREADS = 4, TOKEN = 12345 };

static block_slot slots[SLOTS];
static atomic_bool stopping;
static atomic_uint arrived;

static void count(int number)
{
    (void)number;
    atomic_fetch_add(&arrived, 1);
}

static void *trade_and_watch_errno(void *seed)
{
    uint64_t state = (uintptr_t)seed;
    while (!atomic_load(&stopping)) {
        errno = TOKEN;
        slots_trade(slots, &state);
        void *resized = realloc(calloc(1, random_size(&state)), random_size(&state));
        expect(resized != NULL);
        free(resized);
        expect(errno == TOKEN);
    }
    return NULL;
}

static void start_timer(void)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
    const struct itimerspec often = {{0, 300000}, {0, 300000}};
    expect(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    expect(timer_settime(timer, 0, &often, NULL) == 0);
}

int main(int argc, char **argv)
{
    unsigned milliseconds = argument(argc, argv, 1, 3000);
    pthread_t thread[THREADS];
    // Without SA_RESTART: whatever waits in the kernel is told of the interruption.
    const struct sigaction action = {.sa_handler = count};
    limit_seconds(60 + milliseconds / 1000);
    expect(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGUSR2, &action, NULL) == 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        expect(pthread_create(&thread[i], NULL, trade_and_watch_errno, (void *)(i + 1)) == 0);
    start_timer();
    for (unsigned i = 0; i < milliseconds; i++) {
        const struct timespec pause = {0, 1000000};
        expect(pthread_kill(thread[i % THREADS], SIGUSR1) == 0);
        nanosleep(&pause, NULL);
    }
    atomic_store(&stopping, true);
    for (int i = 0; i < THREADS; i++)
        expect(pthread_join(thread[i], NULL) == 0);
    printf("%u signals\n", atomic_load(&arrived));
    expect(atomic_load(&arrived) >= milliseconds / 10);
    slots_clear(slots);
    expect_heap_is_whole();
    return 0;
}
