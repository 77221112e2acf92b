// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "core/lock.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct lock lock, other;
static unsigned long counter; // guarded by lock
static atomic_u32 flag, done;

static void sleep_ms(long ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }

static void *run(void *(*what)(void *))
{
    pthread_t thread;
    void *result;
    cr_assert_eq(pthread_create(&thread, NULL, what, NULL), 0);
    cr_assert_eq(pthread_join(thread, &result), 0);
    return result;
}

static void init(void)
{
    lock_init(&lock, LOCK_STRIPE);
    lock_init(&other, LOCK_STRIPE);
}

TestSuite(lock, .init = init);

static void *count_up(void *arg)
{
    for (int i = 0; i < 20000; i++) {
        if (i % 7 != 0 || !lock_try(&lock))
            lock_take(&lock);
        counter++;
        lock_drop(&lock);
    }
    return arg;
}

Test(lock, excludes_with_more_threads_than_cores, .timeout = 60)
{
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, count_up, NULL), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(counter, 8 * 20000);
    cr_assert_eq(load_relaxed(&lock.word), 0);
}

static void *try_it(void *arg)
{
    (void)arg;
    bool taken = lock_try(&lock);
    if (taken)
        lock_drop(&lock);
    return taken ? &lock : NULL;
}

Test(lock, try_takes_only_a_free_lock)
{
    cr_assert(lock_try(&lock));
    cr_assert_not(lock_try(&lock));
    cr_assert_null(run(try_it));
    lock_drop(&lock);
    cr_assert_not_null(run(try_it));
    lock_take(&lock);
    cr_assert_null(run(try_it));
    lock_drop(&lock);
}

static void *is_mine(void *arg)
{
    (void)arg;
    return lock_is_mine(&lock) ? &lock : NULL;
}

Test(lock, knows_its_owner)
{
    cr_assert_not(lock_is_mine(&lock));
    lock_take(&lock);
    cr_assert(lock_is_mine(&lock));
    cr_assert_null(run(is_mine));
    lock_drop(&lock);
    cr_assert_not(lock_is_mine(&lock));
    cr_assert(lock_try(&lock));
    cr_assert(lock_is_mine(&lock));
    lock_drop(&lock);
    cr_assert_not(lock_is_mine(&lock));
}

static void *key_of(void *arg)
{
    (void)arg;
    return (void *)(uintptr_t)thread_key();
}

// All of the threads live when they tell their keys.
static void *key_after_start(void *arg)
{
    while (load_acquire(&flag) == 0)
        sleep_ms(1);
    return key_of(arg);
}

static void expect_child(int (*what)(void))
{
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0)
        _exit(what());
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status), "status %x", (unsigned)status);
    cr_assert_eq(WEXITSTATUS(status), 0);
}

static uint32_t key_in_parent;
static int key_is_kept(void) { return thread_key() != key_in_parent; }

Test(lock, key_tells_threads_apart_and_survives_fork)
{
    pthread_t threads[8];
    void *keys[8];
    key_in_parent = thread_key();
    for (int i = 0; i < 8; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, key_after_start, NULL), 0);
    store_release(&flag, 1);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], &keys[i]);
        cr_assert_neq((uint32_t)(uintptr_t)keys[i], key_in_parent);
        for (int k = 0; k < i; k++)
            cr_assert_neq(keys[i], keys[k]);
    }
    expect_child(key_is_kept);
}

Test(lock, key_is_even_and_not_zero)
{
    cr_assert_neq(thread_key(), 0);
    cr_assert_eq(thread_key() % 2, 0);
    cr_assert_eq((uintptr_t)run(key_of) % 2, 0);
}

static void *wait_for_lock(void *arg)
{
    struct timespec used;
    lock_take(&lock);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    lock_drop(&lock);
    *(uint64_t *)arg = (uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000;
    fetch_add_relaxed(&done, 1);
    return NULL;
}

Test(lock, waiters_sleep_and_each_is_woken, .timeout = 60)
{
    pthread_t threads[6];
    uint64_t used_ms[6], busy_ms = 0;
    lock_take(&lock);
    for (int i = 0; i < 6; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, wait_for_lock, &used_ms[i]), 0);
    for (int i = 0; i < 5000 && (load_relaxed(&lock.word) & 1) == 0; i++)
        sleep_ms(1);
    cr_assert_eq(load_relaxed(&lock.word), thread_key() | 1);
    cr_assert(lock_is_mine(&lock));
    sleep_ms(300);
    cr_assert_eq(load_relaxed(&done), 0);
    lock_drop(&lock);
    for (int i = 0; i < 6; i++) {
        pthread_join(threads[i], NULL);
        busy_ms += used_ms[i];
    }
    cr_assert_lt(busy_ms, 100, "the waiters were busy for %lu ms", (unsigned long)busy_ms);
    cr_assert_eq(load_relaxed(&done), 6);
    cr_assert_eq(load_relaxed(&lock.word), 0);
}

Test(lock, errno_is_left_alone, .timeout = 60)
{
    uint64_t used_ms;
    pthread_t thread;
    lock_take(&lock);
    cr_assert_eq(pthread_create(&thread, NULL, wait_for_lock, &used_ms), 0);
    sleep_ms(50);
    errno = EDOM;
    lock_drop(&lock);
    lock_take(&lock);
    lock_drop(&lock);
    cr_assert_eq(errno, EDOM);
    pthread_join(thread, NULL);
}

// Takes the lock and never gives it back; the child of a fork meanwhile has no such thread.
static void *hold(void *arg)
{
    lock_take(&lock);
    store_release(&flag, 1);
    while (load_acquire(&flag) != 2)
        sleep_ms(1);
    lock_drop(&lock);
    return arg;
}

static int resets_lock_of_vanished_thread(void)
{
    if (!lock_reset_after_fork(&lock) || load_relaxed(&lock.word) != 0)
        return 1;
    lock_take(&lock);
    bool mine = lock_is_mine(&lock);
    lock_drop(&lock);
    return !mine;
}

Test(lock, reset_after_fork_frees_the_lock_of_a_vanished_thread, .timeout = 60)
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, hold, NULL), 0);
    while (load_acquire(&flag) != 1)
        sleep_ms(1);
    expect_child(resets_lock_of_vanished_thread);
    cr_assert_not(lock_try(&lock));
    store_release(&flag, 2);
    pthread_join(thread, NULL);
}

static int keeps_own_lock(void)
{
    if (lock_reset_after_fork(&lock) || !lock_is_mine(&lock) || lock_try(&lock))
        return 1;
    lock_drop(&lock);
    return !lock_try(&lock);
}

Test(lock, reset_after_fork_keeps_the_lock_of_the_forking_thread)
{
    lock_take(&lock);
    expect_child(keeps_own_lock);
    lock_drop(&lock);
}

static int keeps_own_lock_with_waiters(void) { return lock_reset_after_fork(&lock) || !lock_is_mine(&lock); }

Test(lock, reset_after_fork_knows_its_own_lock_by_the_key_alone)
{
    cr_assert_not(lock_reset_after_fork(&lock));
    store_relaxed(&lock.word, thread_key() | 1);
    expect_child(keeps_own_lock_with_waiters);
    store_relaxed(&lock.word, thread_key() + 2);
    cr_assert(lock_reset_after_fork(&lock));
    cr_assert(lock_try(&lock));
    lock_drop(&lock);
}

Test(lock, ranks_may_rise_and_a_second_of_one_rank_may_be_tried)
{
    struct lock zones;
    lock_init(&zones, LOCK_ZONES);
    for (int i = 0; i < 2; i++) {
        lock_take(&lock);
        cr_assert(lock_try(&other));
        lock_drop(&other);
        lock_take(&zones);
        lock_drop(&zones);
        lock_drop(&lock);
    }
    lock_take(&zones);
    lock_drop(&zones);
    lock_take(&lock);
    lock_drop(&lock);
}

#if TARN_VALIDATE
Test(lock, falling_ranks_abort, .signal = SIGABRT)
{
    struct lock zones;
    lock_init(&zones, LOCK_ZONES);
    lock_take(&zones);
    lock_take(&lock);
}

Test(lock, two_of_one_rank_abort, .signal = SIGABRT)
{
    lock_take(&lock);
    lock_take(&other);
}

Test(lock, a_tried_lock_counts_for_the_order, .signal = SIGABRT)
{
    struct lock registry;
    lock_init(&registry, LOCK_REGISTRY);
    cr_assert(lock_try(&lock));
    lock_take(&registry);
}
#endif
