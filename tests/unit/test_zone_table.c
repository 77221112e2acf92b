// SPDX-License-Identifier: MIT
// Includes the source to hold the lock that only it knows.
#include "buddy/zone_table.c"

#include "seeded.h"
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GIB ((size_t)1 << 30)
#define ZONES (4 * GIB / ZONE_SIZE)

static void start(size_t window)
{
    meta_init();
    cr_assert(page_map_init(window));
    cr_assert(zone_table_init());
}

static void start_reserved(void)
{
    start(4 * GIB);
    cr_assert(page_map_is_reserved());
    cr_assert_eq(page_map_zones(), ZONES);
}

// Zones are reserved one by one, among the other mappings of the process.
static void start_interval(void)
{
    start(2 * GIB);
    cr_assert_not(page_map_is_reserved());
}

static zone_id id(size_t n) { return (zone_id){(uint32_t)n}; }
static zone_id take(void) { return zone_table_take(1, 1); }

static bool is_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

// Writes to a zone as an owner would, and leaves it free and dirty.
static void dirty(zone_id zone)
{
    bool clean;
    cr_assert(zone_take_at(zone_at(zone), 10, 20, &clean));
    memset((char *)zone_address(zone) + 10 * PAGE_SIZE, 7, 20 * PAGE_SIZE);
    zone_give(zone_at(zone), 10, 20, true);
}

static void check(void)
{
    struct zone_table_counts counts = zone_table_counts();
    size_t free_zones = 0, free_dirty = 0, opened = 0;
    for (size_t n = 0; n < page_map_zones(); n++) {
        opened += table.state[n] != ABSENT;
        cr_assert(n < zone_table_end() || table.state[n] == ABSENT);
        if (!zone_is_free(id(n)))
            continue;
        cr_assert(zone_validate(zone_at(id(n))));
        cr_assert_eq(zone_at(id(n))->used_pages, 0);
        cr_assert_geq(n, table.lowest_free);
        free_zones++;
        free_dirty += zone_at(id(n))->dirty_pages;
    }
    cr_assert_eq(counts.free_zones, free_zones);
    cr_assert_eq(counts.free_dirty_pages, free_dirty);
    cr_assert_eq(counts.opened_zones, opened);
    cr_assert_eq(load_relaxed(&table.lock.word), 0);
}

Test(zone_table, zones_come_lowest_first_and_writable)
{
    start_reserved();
    cr_assert_eq(zone_table_end(), 0);
    cr_assert_null(zone_at(id(0)));
    for (size_t n = 0; n < 5; n++) {
        zone_id zone = take();
        cr_assert_eq(zone.n, n);
        cr_assert_eq(zone_table_end(), n + 1);
        cr_assert_eq(zone_at(zone)->id.n, n);
        cr_assert_eq((uintptr_t)zone_at(zone) % CACHE_LINE, 0);
        memset(zone_address(zone), 1, ZONE_SIZE);
        page_map_set(zone_first_page(zone), ZONE_PAGES, PAGE_LARGE);
    }
    zone_table_give(id(3));
    zone_table_give(id(1));
    check();
    cr_assert(zone_is_free(id(1)));
    cr_assert_eq(take().n, 1);
    cr_assert_eq(take().n, 3);
    cr_assert_eq(take().n, 5);
    check();
}

Test(zone_table, outside_the_window_is_no_zone)
{
    start_reserved();
    cr_assert_null(zone_at(NO_ZONE));
    cr_assert_null(zone_at(id(ZONES)));
    cr_assert_not(zone_table_take_at(NO_ZONE));
    cr_assert_not(zone_table_take_at(id(ZONES)));
}

Test(zone_table, runs_are_neighbours_in_the_lowest_gap_that_holds_them)
{
    start_reserved();
    cr_assert_eq(zone_table_take(10, 1).n, 0);
    zone_table_give(id(2));
    zone_table_give(id(5));
    zone_table_give(id(6));
    cr_assert_eq(zone_table_take(2, 1).n, 5);
    cr_assert_eq(zone_table_take(2, 1).n, 10);
    cr_assert_eq(zone_table_take(1, 1).n, 2);
    zone_table_give(id(8));
    zone_table_give(id(11));
    cr_assert_eq(zone_table_take(4, 1).n, 11, "a run may begin with free zones and go on with new ones");
    check();
    cr_assert(zone_is_free(id(8)));
}

Test(zone_table, alignment_counts_in_addresses)
{
    start_reserved();
    for (size_t align = 1; align <= 16; align *= 2)
        for (size_t n = 1; n <= 3; n++) {
            zone_id zone = zone_table_take(n, align);
            cr_assert_neq(zone.n, NO_ZONE.n);
            cr_assert_eq((uintptr_t)zone_address(zone) % (align * ZONE_SIZE), 0);
            check();
            zone_table_give(id(zone.n + n - 1));
        }
    cr_assert_eq(zone_table_take(1, (size_t)1 << 38).n, NO_ZONE.n);
}

Test(zone_table, the_window_can_be_used_up)
{
    start_reserved();
    cr_assert_eq(zone_table_take(ZONES + 1, 1).n, NO_ZONE.n);
    cr_assert_eq(zone_table_take(SIZE_MAX, 1).n, NO_ZONE.n);
    for (size_t n = 0; n < ZONES - 3; n++)
        cr_assert_eq(take().n, n);
    cr_assert_eq(zone_table_take(4, 1).n, NO_ZONE.n);
    check();
    cr_assert_eq(zone_table_take(3, 1).n, ZONES - 3);
    cr_assert_eq(take().n, NO_ZONE.n);
    zone_table_give(id(77));
    cr_assert_eq(take().n, 77);
    cr_assert_eq(take().n, NO_ZONE.n);
    check();
}

static size_t model_take(const bool *taken, size_t n, size_t align)
{
    for (size_t first = 0; first + n <= ZONES; first++)
        if (memchr(taken + first, true, n) == NULL &&
            (uintptr_t)zone_address(id(first)) % (align * ZONE_SIZE) == 0)
            return first;
    return NO_ZONE.n;
}

Test(zone_table, random_runs_agree_with_the_model, .timeout = 60)
{
    static bool taken[ZONES];
    uint64_t state = seeded_start("zone_table random");
    start_reserved();
    for (int i = 0; i < 600; i++) {
        size_t n = 1 + seeded_next(&state, 6), align = (size_t)1 << seeded_next(&state, 6);
        size_t expected = model_take(taken, n, align);
        cr_assert_eq(zone_table_take(n, align).n, expected, "%zu by %zu", n, align);
        if (expected != NO_ZONE.n)
            memset(taken + expected, true, n);
        for (size_t k = seeded_next(&state, 8); k > 0; k--) {
            size_t zone = seeded_next(&state, ZONES);
            if (taken[zone])
                zone_table_give(id(zone));
            taken[zone] = false;
        }
        check();
    }
}

Test(zone_table, take_at_takes_free_zones_only)
{
    start_reserved();
    cr_assert_not(zone_table_take_at(id(0)), "it is absent");
    cr_assert_eq(zone_table_take(3, 1).n, 0);
    cr_assert_not(zone_table_take_at(id(1)), "it is taken");
    zone_table_give(id(1));
    cr_assert(zone_table_take_at(id(1)));
    cr_assert_not(zone_is_free(id(1)));
    check();
}

Test(zone_table, give_keeps_memory_and_purge_returns_it)
{
    uint64_t calls = 0;
    start_reserved();
    zone_table_take(3, 1);
    dirty(id(0));
    dirty(id(2));
    for (size_t n = 0; n < 3; n++)
        zone_table_give(id(n));
    cr_assert_eq(zone_table_counts().free_dirty_pages, 40);
    check();
    cr_assert_eq(zone_table_purge(0, 1, false, &calls), 0, "not aged yet");
    cr_assert_eq(calls, 0);
    cr_assert_eq(((char *)zone_address(id(0)))[10 * PAGE_SIZE], 7);
    cr_assert_eq(zone_table_purge(0, 1, false, &calls), 40);
    cr_assert_eq(calls, 2);
    cr_assert(is_zero((unsigned char *)zone_address(id(0)) + 10 * PAGE_SIZE, 20 * PAGE_SIZE));
    cr_assert_eq(zone_table_purge(0, 1, true, &calls), 0);
    cr_assert_eq(calls, 2);
    check();
}

Test(zone_table, purge_of_all_does_not_wait_for_age)
{
    uint64_t calls = 0;
    start_reserved();
    zone_table_take(2, 1);
    dirty(id(0));
    dirty(id(1));
    zone_table_give(id(0)); // zone 1 stays taken, and with it its memory
    cr_assert_eq(zone_table_purge(0, 1, true, &calls), 20);
    cr_assert_eq(calls, 1);
    cr_assert_eq(((char *)zone_address(id(1)))[10 * PAGE_SIZE], 7);
    cr_assert_eq(zone_at(id(1))->dirty_pages, 20);
    check();
}

Test(zone_table, a_refused_purge_leaves_the_zone_dirty)
{
    uint64_t calls = 0;
    start_reserved();
    dirty(take());
    zone_table_give(id(0));
    os_fail_nth(1);
    cr_assert_eq(zone_table_purge(0, 1, true, &calls), 0);
    cr_assert_eq(zone_table_counts().free_dirty_pages, 20);
    check();
    cr_assert_eq(zone_table_purge(0, 1, true, &calls), 20);
    check();
}

Test(zone_table, decommit_gives_up_promises_but_no_address)
{
    start_reserved();
    zone_table_take(3, 1);
    dirty(id(0));
    dirty(id(1));
    zone_table_give(id(0));
    zone_table_give(id(1));
    zone_table_decommit();
    check();
    cr_assert_eq(zone_table_counts().opened_zones, 1);
    cr_assert_not(os_reserve_at(zone_address(id(0)), ZONE_SIZE));
    cr_assert_eq(zone_table_take(2, 1).n, 0);
    cr_assert_eq(zone_at(id(0))->dirty_pages, 0);
    cr_assert(is_zero((unsigned char *)zone_address(id(0)), ZONE_SIZE));
    check();
}

// Takes with the nth call to the kernel failing; false when there was no nth call.
static bool take_with_fault(uint32_t nth, size_t n)
{
    os_fail_nth(nth);
    zone_id zone = zone_table_take(n, 2);
    bool reached = os_fallible_calls() >= nth;
    os_fail_nth(0);
    check();
    for (size_t i = 0; zone.n != NO_ZONE.n && i < n; i++) {
        *(char *)zone_address(id(zone.n + i)) = 1;
        page_map_set(zone_first_page(id(zone.n + i)), ZONE_PAGES, PAGE_LARGE);
        zone_table_give(id(zone.n + i));
    }
    check();
    return reached;
}

static void check_faults(void)
{
    uint32_t nth = 1;
    while (take_with_fault(nth, 3))
        nth++;
    cr_assert_gt(nth, 3);
    zone_id zone = zone_table_take(3, 1);
    cr_assert_neq(zone.n, NO_ZONE.n);
    check();
}

Test(zone_table, faults_leave_the_table_whole)
{
    start_reserved();
    check_faults();
}

Test(zone_table, faults_leave_an_interval_whole)
{
    start_interval();
    check_faults();
}

// A zone whose memory was refused does not keep its address either.
Test(zone_table, faults_do_not_use_up_an_interval)
{
    start_interval();
    zone_id lowest = zone_table_take(3, 2);
    cr_assert_neq(lowest.n, NO_ZONE.n);
    for (size_t i = 0; i < 3; i++)
        zone_table_give(id(lowest.n + i));
    for (uint32_t nth = 1; take_with_fault(nth, 3); nth++)
        continue;
    cr_assert_eq(zone_table_take(3, 2).n, lowest.n);
}

static void refuse_start(uint32_t nth)
{
    meta_init();
    cr_assert(page_map_init(1024 * GIB));
    os_fail_nth(nth);
    cr_assert_not(zone_table_init());
    cr_assert(zone_table_init());
    cr_assert_eq(take().n, 0);
}

Test(zone_table, a_refused_start_can_be_tried_again) { refuse_start(1); }
Test(zone_table, a_start_refused_further_on_can_be_tried_again) { refuse_start(2); }

Test(zone_table, where_nothing_is_reserved_a_free_zone_gives_its_address_back)
{
    start_interval();
    zone_id zone = take();
    cr_assert_neq(zone.n, NO_ZONE.n);
    dirty(zone);
    cr_assert_not(os_reserve_at(zone_address(zone), ZONE_SIZE));
    zone_table_give(zone);
    check();
    cr_assert_eq(zone_table_counts().opened_zones, 0);
    cr_assert_not(zone_table_take_at(zone));
    cr_assert_eq(take().n, zone.n);
    cr_assert_eq(zone_at(zone)->dirty_pages, 0);
    cr_assert(is_zero((unsigned char *)zone_address(zone), ZONE_SIZE));
    check();
}

Test(zone_table, where_nothing_is_reserved_other_mappings_are_stepped_around)
{
    start_interval();
    zone_id zone = zone_table_take(3, 1);
    cr_assert_neq(zone.n, NO_ZONE.n);
    for (size_t i = 0; i < 3; i++)
        zone_table_give(id(zone.n + i));
    char *foreign = (char *)zone_address(id(zone.n + 1)) + os_page_size();
    cr_assert(os_reserve_at(foreign, os_page_size()));
    cr_assert(os_commit(foreign, os_page_size()));
    *foreign = 'k';
    zone_id next = zone_table_take(3, 1);
    cr_assert(next.n == NO_ZONE.n || next.n > zone.n + 1);
    cr_assert_eq(*foreign, 'k');
    cr_assert_eq(take().n, zone.n, "the zone in front of it can still be had");
    check();
}

static void *take_and_give(void *arg)
{
    uint64_t state = *(uint64_t *)arg, calls = 0;
    for (int i = 0; i < 300; i++) {
        size_t n = 1 + seeded_next(&state, 3);
        zone_id zone = zone_table_take(n, 1);
        if (zone.n == NO_ZONE.n)
            return NULL;
        for (size_t k = 0; k < n; k++)
            *(uint64_t *)zone_address(id(zone.n + k)) = state;
        if (i % 16 == 0)
            zone_table_purge(0, 1, i % 32 == 0, &calls);
        if (i % 64 == 0)
            zone_table_decommit();
        for (size_t k = 0; k < n; k++) {
            if (*(uint64_t *)zone_address(id(zone.n + k)) != state)
                return NULL;
            zone_table_give(id(zone.n + k));
        }
    }
    return arg;
}

Test(zone_table, threads_never_share_a_zone, .timeout = 60)
{
    pthread_t threads[4];
    uint64_t seeds[4], seed = seeded_start("zone_table threads");
    start_reserved();
    for (uint64_t i = 0; i < 4; i++) {
        seeds[i] = seed + i;
        cr_assert_eq(pthread_create(&threads[i], NULL, take_and_give, &seeds[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        cr_assert_eq(result, &seeds[i]);
    }
    check();
    cr_assert_eq(zone_table_counts().free_zones, zone_table_counts().opened_zones);
}

static atomic_u32 held;

// Stops in the middle of changing what the lock guards.
static void *hold(void *arg)
{
    lock_take(&table.lock);
    uint64_t free_zones = table.free_zones, free_dirty = table.free_dirty;
    size_t lowest_free = table.lowest_free;
    table.free_zones = table.free_dirty = 999;
    table.lowest_free = 4;
    store_release(&held, 1);
    while (load_acquire(&held) == 1)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    table.free_zones = free_zones;
    table.free_dirty = free_dirty;
    table.lowest_free = lowest_free;
    lock_drop(&table.lock);
    return arg;
}

static int child_is_whole(void)
{
    zone_table_after_fork();
    check();
    return zone_table_take(1, 1).n != 1 || zone_table_take(1, 1).n != 3 || zone_table_take(1, 1).n != 6;
}

Test(zone_table, child_is_whole_where_a_vanished_thread_held_the_lock, .timeout = 60)
{
    pthread_t thread;
    int status = 0;
    start_reserved();
    zone_table_take(6, 1);
    dirty(id(1));
    zone_table_give(id(1));
    zone_table_give(id(3));
    cr_assert_eq(pthread_create(&thread, NULL, hold, NULL), 0);
    while (load_acquire(&held) == 0)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0)
        _exit(child_is_whole());
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    store_release(&held, 2);
    pthread_join(thread, NULL);
    check();
}

Test(zone_table, after_fork_nothing_changes_where_nobody_held_the_lock)
{
    start_reserved();
    zone_table_take(3, 1);
    dirty(id(1));
    zone_table_give(id(0));
    zone_table_give(id(1));
    zone_table_after_fork();
    check();
    cr_assert_eq(zone_table_counts().free_dirty_pages, 20);
    cr_assert_eq(take().n, 0);
}

static int keeps_own_lock(void)
{
    zone_table_after_fork();
    return !zone_table_is_mine() || table.free_zones != 1;
}

Test(zone_table, is_mine_inside_only_and_stays_in_the_child)
{
    int status = 0;
    start_reserved();
    zone_table_take(2, 1);
    zone_table_give(id(0));
    cr_assert_not(zone_table_is_mine());
    lock_take(&table.lock);
    cr_assert(zone_table_is_mine());
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0)
        _exit(keeps_own_lock());
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    lock_drop(&table.lock);
}

// As in a signal handler that forks.
Test(zone_table, nobody_waits_for_himself, .timeout = 20)
{
    uint64_t calls = 0;
    start_reserved();
    zone_id kept = take(), free = take();
    zone_table_give(free);
    lock_take(&table.lock);
    cr_assert_eq(take().n, NO_ZONE.n);
    cr_assert_not(zone_table_take_at(free));
    zone_table_give(kept);
    cr_assert_eq(zone_table_purge(0, 1, true, &calls), 0u);
    cr_assert_not(zone_table_is_settled());
    zone_table_decommit();
    cr_assert_eq(zone_table_counts().opened_zones, 2u);
    cr_assert(zone_table_is_mine());
    lock_drop(&table.lock);
    cr_assert(!zone_is_free(kept) && zone_is_free(free), "nothing has changed");
}
