// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "core/background.h"

#include "core/central.h"
#include "core/lock.h"
#include "core/options.h"
#include "core/os.h"
#include "tcache/registry.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#define STACK_BYTES ((size_t)64 << 10)
#define STOP_MS 100

// Relaxed: the C library can start threads from when the constructors run.
static atomic_u32 threads_possible;
static atomic_u32 running; // 1 from the start of the thread to its last step

static __attribute__((constructor)) void note_constructors(void)
{
    store_relaxed(&threads_possible, 1);
    if (registry_starts() != 0)
        decay_want_keeper();
}

static struct lock working = {.rank = LOCK_BACKGROUND}; // held over each step

bool background_hold(void)
{
    if (lock_is_mine(&working))
        return false;
    lock_take(&working);
    return true;
}

void background_release(void) { lock_drop(&working); }

// Works off what is due. False when nothing is left to wait for.
static bool step(void)
{
    lock_take(&working);
    if (central_decay())
        tcache_end_period();
    lock_drop(&working);
    return load_relaxed(&options.decay_ms) >= 0 && !central_is_settled();
}

// To sleep without a limit takes two looks, a phase apart (decay.h).
static void fall_asleep(void)
{
    uint32_t awake = KEEPER_AWAKE;
    if (!cas_relaxed(&decay_keeper, &awake, KEEPER_ASLEEP))
        return;
    os_park_for(&decay_keeper, KEEPER_ASLEEP, load_relaxed(&options.decay_ms) < 0 ? 1000 : decay_phase_ms());
    uint32_t asleep = KEEPER_ASLEEP;
    if (step())
        cas_relaxed(&decay_keeper, &asleep, KEEPER_AWAKE);
    while (load_relaxed(&decay_keeper) == KEEPER_ASLEEP)
        os_park(&decay_keeper, KEEPER_ASLEEP);
}

static void *keep(void *unused)
{
    pthread_setname_np(pthread_self(), "tarn-decay");
    while (load_relaxed(&decay_keeper) != KEEPER_STOPPED) {
        if (step())
            os_park_for(&decay_keeper, KEEPER_AWAKE, decay_phase_ms());
        else
            fall_asleep();
    }
    store_release(&running, 0); // pairs with background_stop
    os_unpark_all(&running);
    return unused;
}

static bool start_thread(size_t stack_bytes)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (stack_bytes != 0)
        pthread_attr_setstacksize(&attributes, stack_bytes);
    bool started = pthread_create(&thread, &attributes, keep, NULL) == 0;
    pthread_attr_destroy(&attributes);
    return started;
}

static bool start_without_signals(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = start_thread(STACK_BYTES) || start_thread(0); // much thread-local data needs more
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

// A process with one thread keeps it so unless told otherwise: some system calls are refused to processes
// with more, and the C library does without locks.
static bool may_start(void)
{
    const char *when = load_relaxed(&options.background);
    if (load_relaxed(&threads_possible) == 0 || strcmp(when, "never") == 0)
        return false;
    return registry_starts() >= 2 || strcmp(when, "always") == 0;
}

// What kept the thread from being started may end between the look at it and the step to ALONE.
static void stay_alone(void)
{
    uint32_t wanted = KEEPER_WANTED;
    if (cas_relaxed(&decay_keeper, &wanted, KEEPER_ALONE) && may_start())
        decay_want_keeper();
}

void background_start(void)
{
    uint32_t wanted = KEEPER_WANTED;
    if (!may_start()) {
        stay_alone();
        return;
    }
    if (!cas_relaxed(&decay_keeper, &wanted, KEEPER_AWAKE))
        return;
    store_relaxed(&running, 1);
    int saved = errno;
    if (!start_without_signals()) {
        store_relaxed(&running, 0);
        store_relaxed(&decay_keeper, KEEPER_STOPPED); // the slow paths go on without it
    }
    errno = saved;
}

void background_stop(void)
{
    // Relaxed: the word itself is what the thread waits for. It may wait in the two states below only.
    uint32_t keeper = exchange_relaxed(&decay_keeper, KEEPER_STOPPED);
    if (keeper == KEEPER_ASLEEP || keeper == KEEPER_AWAKE)
        os_unpark_all(&decay_keeper);
    if (load_acquire(&running) != 0) // pairs with keep
        os_park_for(&running, 1, STOP_MS);
}

void background_after_fork(void)
{
    lock_reset_after_fork(&working);
    store_relaxed(&decay_keeper, KEEPER_NONE);
    store_relaxed(&running, 0);
}
