// SPDX-License-Identifier: MIT
#include "core/limit.h"

#include "core/init.h"
#include "core/os.h"
#include "limited.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

struct calls {
    unsigned soft, hard;
    size_t bytes;
};

static void count_call(enum tarn_limit kind, size_t bytes, void *arg)
{
    struct calls *calls = arg;
    calls->soft += kind == TARN_LIMIT_SOFT;
    calls->hard += kind == TARN_LIMIT_HARD;
    calls->bytes = bytes;
}

static bool is_readable(int fd)
{
    struct pollfd wanted = {fd, POLLIN, 0};
    return poll(&wanted, 1, 0) == 1;
}

static void expect_calls(const struct calls *calls, unsigned soft, unsigned hard)
{
    limit_tell();
    cr_assert_eq(calls->soft, soft);
    cr_assert_eq(calls->hard, hard);
}

Test(limit, without_one_everything_is_charged_and_nothing_refused)
{
    cr_assert_not(limit_is_set());
    cr_assert(limit_reserve(UINT64_C(1) << 50));
    cr_assert_eq(limit_charged(), UINT64_C(1) << 50);
    limit_discharge(UINT64_C(1) << 50);
    cr_assert_eq(limit_charged(), 0u);
}

Test(limit, the_hard_limit_is_reached_and_never_passed)
{
    set_hard_limit(100);
    cr_assert_not(limit_reserve(101));
    cr_assert(limit_reserve(60));
    cr_assert_not(limit_reserve(41));
    cr_assert_eq(limit_charged(), 60u);
    cr_assert(limit_reserve(40));
    cr_assert_not(limit_reserve(1));
    cr_assert_not(limit_reserve(UINT64_MAX));
    limit_discharge(1);
    cr_assert(limit_reserve(1));
}

enum { THREADS = 4 };

static pthread_barrier_t start;
static atomic_u32 passed;

static void *reserve_often(void *arg)
{
    pthread_barrier_wait(&start);
    for (int i = 0; i < 1000000; i++) {
        if (!limit_reserve(3))
            continue;
        if (limit_charged() > 4) // only one fits
            store_relaxed(&passed, 1);
        limit_discharge(3);
    }
    return arg;
}

Test(limit, threads_together_do_not_pass_it)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&start, NULL, THREADS);
    set_hard_limit(4);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, reserve_often, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(load_relaxed(&passed), 0u);
    cr_assert_eq(limit_charged(), 0u);
}

Test(limit, a_crossing_is_told_once_until_a_16th_below)
{
    struct calls calls = {0};
    limit_set_callback(count_call, &calls);
    set_soft_limit(1600);
    limit_reserve(1600);
    expect_calls(&calls, 0, 0);
    limit_reserve(1);
    expect_calls(&calls, 1, 0);
    cr_assert_eq(calls.bytes, 1601u);
    limit_discharge(100);
    limit_reserve(100);
    expect_calls(&calls, 1, 0);
    limit_discharge(102); // 1499 of 1600
    limit_reserve(102);
    expect_calls(&calls, 2, 0);
    limit_discharge(1601);
}

Test(limit, a_refusal_is_told_once_until_a_16th_below)
{
    struct calls calls = {0};
    limit_set_callback(count_call, &calls);
    set_hard_limit(1600);
    limit_reserve(1600);
    limit_note_refusal();
    limit_note_refusal();
    expect_calls(&calls, 0, 1);
    limit_discharge(50);
    limit_note_refusal();
    expect_calls(&calls, 0, 1);
    limit_discharge(51);
    limit_note_refusal();
    expect_calls(&calls, 0, 2);
}

Test(limit, above_the_soft_one_there_is_a_release_for_each_step)
{
    set_soft_limit(10 * MIB);
    limit_reserve(10 * MIB);
    cr_assert_not(limit_take_release());
    limit_reserve(1);
    cr_assert(limit_take_release());
    cr_assert_not(limit_take_release());
    limit_reserve(MIB / 2);
    cr_assert_not(limit_take_release());
    limit_reserve(MIB / 2 + 1);
    cr_assert(limit_take_release());
    limit_discharge(3 * MIB);
    limit_reserve(2 * MIB);
    cr_assert(limit_take_release());
}

Test(limit, a_new_bound_counts_from_now_on)
{
    limit_reserve(MIB);
    set_hard_limit(MIB / 2);
    cr_assert_not(limit_reserve(1));
    set_hard_limit(0);
    cr_assert(limit_reserve(1));
    cr_assert_not(limit_is_set());
}

Test(limit, shares_are_of_the_memory_there_is)
{
    store_relaxed(&options.limit_soft, -50);
    store_relaxed(&options.limit_hard, -100);
    limit_refresh();
    cr_assert_leq(limit_bound(LIMIT_HARD), os_physical_bytes());
    cr_assert_gt(limit_bound(LIMIT_HARD), 0u);
    uint64_t whole = limit_bound(LIMIT_HARD), half = limit_bound(LIMIT_SOFT);
    cr_assert(half <= whole / 2 && half + 100 >= whole / 2);
    store_relaxed(&options.limit_soft, LIMIT_AUTO);
    limit_refresh();
    cr_assert(limit_bound(LIMIT_SOFT) < whole || limit_bound(LIMIT_SOFT) == LIMIT_NONE);
}

Test(limit, an_event_can_be_polled)
{
    int soft = limit_event_fd(LIMIT_SOFT), hard = limit_event_fd(LIMIT_HARD);
    uint64_t count;
    cr_assert_geq(soft, 0);
    cr_assert_neq(soft, hard);
    cr_assert_eq(limit_event_fd(LIMIT_SOFT), soft);
    set_soft_limit(100);
    limit_reserve(101);
    cr_assert_not(is_readable(soft));
    limit_tell();
    cr_assert(is_readable(soft) && !is_readable(hard));
    cr_assert_eq(read(soft, &count, sizeof count), (ssize_t)sizeof count);
    cr_assert_eq(count, 1u);
    cr_assert_not(is_readable(soft));
}

static void call_within(enum tarn_limit kind, size_t bytes, void *arg)
{
    count_call(kind, bytes, arg);
    limit_note_refusal();
    limit_tell(); // what came up meanwhile waits for this call to end
    cr_assert_leq(((struct calls *)arg)->hard, 1u);
    limit_set_callback(count_call, arg);
    errno = EIO;
}

Test(limit, a_callback_may_come_back_and_replace_itself)
{
    struct calls calls = {0};
    limit_set_callback(call_within, &calls);
    set_soft_limit(100);
    limit_reserve(101);
    errno = 7;
    limit_tell();
    cr_assert_eq(errno, 7);
    cr_assert_eq(calls.soft, 1u);
    cr_assert_eq(calls.hard, 1u);
    limit_set_callback(NULL, NULL);
    limit_discharge(101);
    limit_reserve(101);
    limit_tell();
    cr_assert_eq(calls.soft, 1u);
}

Test(limit, a_child_of_fork_does_not_signal_its_parent)
{
    int fd = limit_event_fd(LIMIT_SOFT);
    set_soft_limit(100);
    pid_t child = fork();
    if (child == 0) {
        limit_after_fork(0);
        limit_reserve(101);
        limit_tell();
        _exit(limit_event_fd(LIMIT_SOFT) != fd ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    cr_assert_not(is_readable(fd));
}

// --- Growth.

static bool grows_to(uint64_t charged)
{
    if (charged > limit_charged())
        limit_charge(charged - limit_charged());
    else
        limit_discharge(limit_charged() - charged);
    limit_note_growth();
    return limit_take_growth();
}

Test(limit, a_heap_that_grows_is_searched_once_in_each_step)
{
    cr_assert_not(grows_to(20 * MIB), "it is small");
    cr_assert(grows_to(40 * MIB));
    cr_assert_not(grows_to(80 * MIB), "somebody searches already");
    limit_end_growth(80 * MIB);
    cr_assert_not(grows_to(80 * MIB + limit_growth_step(80 * MIB)));
    cr_assert(grows_to(81 * MIB + limit_growth_step(80 * MIB)));
}

Test(limit, a_heap_may_grow_again_by_what_a_search_brought)
{
    cr_assert(grows_to(100 * MIB));
    limit_discharge(30 * MIB);
    limit_end_growth(100 * MIB);
    cr_assert_not(grows_to(100 * MIB));
    cr_assert(grows_to(101 * MIB));
}

Test(limit, a_heap_that_has_shrunk_for_a_period_grows_from_there)
{
    cr_assert(grows_to(100 * MIB));
    limit_end_growth(100 * MIB);
    limit_end_period();
    cr_assert_not(grows_to(101 * MIB));
    cr_assert_not(grows_to(50 * MIB));
    cr_assert_not(grows_to(90 * MIB), "not for long enough");
    cr_assert_not(grows_to(50 * MIB));
    limit_end_period();
    cr_assert(grows_to(90 * MIB));
    limit_end_period();
    cr_assert_not(grows_to(200 * MIB), "the search goes on");
}

Test(limit, a_child_of_fork_searches_though_a_vanished_thread_did)
{
    cr_assert(grows_to(100 * MIB));
    limit_after_fork(50 * MIB);
    cr_assert(grows_to(60 * MIB));
    limit_after_fork(70 * MIB);
    cr_assert_not(grows_to(70 * MIB));
}
