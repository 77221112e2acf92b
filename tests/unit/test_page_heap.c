// SPDX-License-Identifier: MIT
// Includes the sources to hold the locks that only they know, and to come in between an unlock and what
// follows it.
#define _GNU_SOURCE
#include "core/atomics.h"
static void after_unlock(void);
#define fence_after_exchange() after_unlock()
#include "buddy/page_heap.c"
#undef fence_after_exchange
#include "buddy/zone_table.c"

#include "core/init.h"
#include "core/tsan.h"
#include "limited.h"
#include "seeded.h"
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GIB ((size_t)1 << 30)
#define WHOLE 12 // pages: whole ones of a kernel whose pages are 64 KiB, too

static void sleep_ms(long ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }

// Decay never comes in between unless a test wants it.
static void start(void)
{
    setenv("TARN_DECAY_MS", "-1", 1);
    setenv("TARN_STRIPES", "4", 1);
    cr_assert(heap_start());
    cr_assert(page_map_is_reserved());
}

TestSuite(page_heap, .init = start);

static void check(void)
{
    cr_assert(page_heap_validate());
    struct page_heap_counts counts = page_heap_counts();
    cr_assert_eq(counts.opened_pages, counts.used_pages + counts.dirty_pages + counts.clean_pages);
}

static unsigned char *bytes_of(page_id page) { return page_address(page); }

static page_id take(size_t n, size_t align)
{
    struct page_block block = page_heap_take(n, align);
    cr_assert_neq(block.first.n, NO_PAGE.n, "%zu pages by %zu", n, align);
    cr_assert_eq((uintptr_t)bytes_of(block.first) % align, 0);
    return block.first;
}

static bool reads_as_zeros(page_id first, size_t n)
{
    for (size_t i = 0; i < n * PAGE_SIZE; i += 64)
        if (bytes_of(first)[i] != 0)
            return false;
    return true;
}

Test(page_heap, blocks_are_writable_and_counted)
{
    page_id a = take(1, PAGE_SIZE), b = take(100, PAGE_SIZE);
    memset(bytes_of(a), 1, PAGE_SIZE);
    memset(bytes_of(b), 2, 100 * PAGE_SIZE);
    cr_assert_eq(bytes_of(a)[PAGE_SIZE - 1], 1);
    cr_assert_eq(page_heap_counts().used_pages, 101);
    page_heap_give(a, 1);
    page_heap_give(b, 100);
    cr_assert_eq(page_heap_counts().used_pages, 0);
    cr_assert_eq(page_heap_counts().dirty_pages, 101);
    check();
}

Test(page_heap, the_tail_of_a_block_is_used_for_the_next)
{
    page_id first = take(5, PAGE_SIZE);
    page_id next = take(1, PAGE_SIZE), more = take(2, PAGE_SIZE);
    cr_assert_eq(next.n, first.n + 5);
    cr_assert_eq(more.n, first.n + 6);
    cr_assert_eq(page_heap_counts().used_pages, 8);
    check();
}

Test(page_heap, part_of_a_block_may_be_given)
{
    page_id first = take(64, PAGE_SIZE);
    page_heap_give((page_id){first.n + 60}, 4);
    page_heap_give((page_id){first.n + 10}, 20);
    check();
    cr_assert_eq(page_heap_counts().used_pages, 40);
    page_heap_give(first, 10);
    page_heap_give((page_id){first.n + 30}, 30);
    check();
    cr_assert_eq(page_heap_counts().used_pages, 0);
}

Test(page_heap, alignment_up_to_a_gigabyte)
{
    for (size_t align = 1; align <= GIB; align *= 2)
        for (size_t n = 1; n <= 5; n += 2) {
            page_id first = take(n, align);
            bytes_of(first)[n * PAGE_SIZE - 1] = 1;
            if (n == 3)
                page_heap_give(first, n);
        }
    check();
    page_id large = take(3 * ZONE_PAGES + 1, GIB);
    page_heap_give(large, 3 * ZONE_PAGES + 1);
    check();
}

Test(page_heap, the_impossible_is_refused)
{
    cr_assert_eq(page_heap_take(SIZE_MAX, PAGE_SIZE).first.n, NO_PAGE.n);
    cr_assert_eq(page_heap_take(sealed.map.pages + 1, PAGE_SIZE).first.n, NO_PAGE.n);
    cr_assert_eq(page_heap_take(os_memory_bytes() / PAGE_SIZE + 1, PAGE_SIZE).first.n, NO_PAGE.n);
    cr_assert_eq(page_heap_take(1, (size_t)1 << 63).first.n, NO_PAGE.n);
    check();
    cr_assert_eq(page_heap_counts().used_pages, 0);
}

Test(page_heap, clean_means_zeros)
{
    struct page_block block = page_heap_take(50, PAGE_SIZE);
    cr_assert(block.clean);
    cr_assert(reads_as_zeros(block.first, 50));
    memset(bytes_of(block.first), 7, 50 * PAGE_SIZE);
    page_heap_give(block.first, 50);
    struct page_block again = page_heap_take(50, PAGE_SIZE);
    cr_assert_eq(again.first.n, block.first.n);
    cr_assert_not(again.clean);
    page_heap_give(again.first, 50);
    cr_assert_eq(page_heap_purge(), 50 * PAGE_SIZE);
    again = page_heap_take(50, PAGE_SIZE);
    cr_assert(again.clean);
    cr_assert(reads_as_zeros(again.first, 50));
}

Test(page_heap, descriptors_and_head_distances_are_one_for_each_page)
{
    page_id first = take(ZONE_PAGES + 3, PAGE_SIZE);
    for (uint32_t i = 0; i < ZONE_PAGES + 3; i++) {
        memset(page_descriptor((page_id){first.n + i}), (int)(i % 251), PAGE_DESCRIPTOR_BYTES);
        *page_head_distance((page_id){first.n + i}) = (uint8_t)(i % 251);
    }
    for (uint32_t i = 0; i < ZONE_PAGES + 3; i++) {
        const unsigned char *descriptor = page_descriptor((page_id){first.n + i});
        cr_assert_eq(*page_head_distance((page_id){first.n + i}), i % 251);
        cr_assert_eq(descriptor[0], i % 251);
        cr_assert_eq(descriptor[PAGE_DESCRIPTOR_BYTES - 1], i % 251);
    }
    check();
}

// --- Blocks larger than a zone.

Test(page_heap, large_blocks_share_their_last_zone)
{
    page_id large = take(2 * ZONE_PAGES + 10, PAGE_SIZE);
    cr_assert_eq(page_in_zone(large), 0);
    cr_assert_eq(page_heap_counts().used_pages, 2 * ZONE_PAGES + 10);
    bytes_of(large)[0] = bytes_of(large)[(2 * ZONE_PAGES + 10) * PAGE_SIZE - 1] = 1;
    page_id small = take(1, PAGE_SIZE);
    cr_assert_eq(page_zone(small).n, page_zone(large).n + 2);
    check();
    page_heap_give(large, 2 * ZONE_PAGES + 10);
    check();
    cr_assert_eq(page_heap_counts().used_pages, 1);
    page_heap_give(small, 1);
    check();
}

Test(page_heap, large_blocks_are_dirty_when_any_zone_of_theirs_is)
{
    page_id zone = take(ZONE_PAGES, ZONE_SIZE);
    page_id behind = take(ZONE_PAGES, ZONE_SIZE);
    bytes_of(behind)[5] = 1;
    page_heap_give(zone, ZONE_PAGES);
    page_heap_give(behind, ZONE_PAGES);
    release_free_zones(); // their memory goes with them
    struct page_block block = page_heap_take(2 * ZONE_PAGES, PAGE_SIZE);
    cr_assert_eq(block.first.n, zone.n);
    cr_assert(block.clean);
    cr_assert_eq(bytes_of(block.first)[ZONE_SIZE + 5], 0);
    page_heap_give(block.first, 2 * ZONE_PAGES);
    cr_assert_eq(page_heap_counts().dirty_pages, 2 * ZONE_PAGES);
    block = page_heap_take(ZONE_PAGES + 5, PAGE_SIZE);
    cr_assert_not(block.clean);
    check();
}

Test(page_heap, a_dirty_last_zone_makes_a_large_block_dirty)
{
    bool clean;
    zone_id first = zone_table_take(2, 1), last = {first.n + 1};
    cr_assert(zone_take_at(zone_at(last), 3, 1, &clean));
    limit_charge(PAGE_SIZE);
    zone_give(zone_at(last), 3, 1, true);
    zone_table_give(first);
    zone_table_give(last);
    struct page_block block = page_heap_take(ZONE_PAGES + 5, PAGE_SIZE);
    cr_assert_eq(page_zone(block.first).n, first.n);
    cr_assert_not(block.clean);
    check();
}

Test(page_heap, a_large_block_may_be_broken_anywhere)
{
    for (size_t first = 0; first < 3 * ZONE_PAGES; first += 511)
        for (size_t n = 1; first + n <= 3 * ZONE_PAGES; n += 700) {
            page_id large = take(3 * ZONE_PAGES, PAGE_SIZE);
            page_heap_give((page_id){large.n + (uint32_t)first}, n);
            cr_assert_eq(page_heap_counts().used_pages, 3 * ZONE_PAGES - n);
            cr_assert(page_heap_validate());
            if (first > 0)
                page_heap_give(large, first);
            if (first + n < 3 * ZONE_PAGES)
                page_heap_give((page_id){large.n + (uint32_t)(first + n)}, 3 * ZONE_PAGES - first - n);
            cr_assert_eq(page_heap_counts().used_pages, 0);
            check();
        }
}

static void give_free_zone_to(struct stripe *stripe)
{
    struct zone *zone = zone_at(zone_table_take(1, 1));
    cr_assert_not_null(zone);
    lock_take(&stripe->lock);
    stripe_adopt_locked(stripe, zone);
    stripe_leave(stripe);
}

Test(page_heap, zones_that_stripes_keep_can_be_had_back)
{
    for (uint32_t i = 0; i < heap.stripe_count; i++)
        give_free_zone_to(&heap.stripes[i]);
    check();
    release_free_zones();
    cr_assert_eq(zone_table_take(heap.stripe_count, 1).n, 0);
    check();
}

static void go_to_processor(unsigned cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        cr_skip("there is no processor %u for us", cpu);
}

Test(page_heap, memory_at_another_processor_is_taken_before_fresh_memory)
{
    go_to_processor(1);
    page_id there = take(1, PAGE_SIZE);
    page_heap_give(take(WALK_LEAST - 1, PAGE_SIZE), WALK_LEAST - 1);
    go_to_processor(0);
    give_free_zone_to(local_stripe(0));
    page_id here = take(4, PAGE_SIZE);
    cr_assert_neq(page_zone(here).n, page_zone(there).n, "there is too little for the walk");
    page_heap_give(there, 1);
    struct page_block walked = page_heap_take(8, PAGE_SIZE);
    cr_assert_eq(page_zone(walked.first).n, page_zone(there).n);
    cr_assert_not(walked.clean);
    page_heap_give(here, 4);
    cr_assert_eq(page_zone(take(4, PAGE_SIZE)).n, page_zone(here).n, "what is dirty here comes first");
    check();
}

Test(page_heap, a_stripe_keeps_one_free_zone)
{
    page_id a = take(ZONE_PAGES, PAGE_SIZE), b = take(ZONE_PAGES, PAGE_SIZE);
    struct stripe *stripe = &heap.stripes[load_relaxed(&zone_at(page_zone(a))->stripe)];
    struct stripe *other = &heap.stripes[load_relaxed(&zone_at(page_zone(b))->stripe)];
    page_heap_give(a, ZONE_PAGES);
    cr_assert_eq(stripe->buckets[BUDDY_TOP_ORDER], zone_at(page_zone(a)));
    page_heap_give(b, ZONE_PAGES);
    cr_assert_eq(zone_is_free(page_zone(b)), stripe == other);
    check();
    page_heap_purge();
    check();
    cr_assert_eq(page_heap_counts().dirty_pages, 0);
}

// --- Growing in place.

Test(page_heap, grow_takes_what_lies_behind)
{
    bool clean = false;
    page_id first = take(4, 16 * PAGE_SIZE);
    cr_assert(page_heap_grow(first, 4, 10, &clean));
    cr_assert(clean);
    cr_assert_eq(page_heap_counts().used_pages, 10);
    memset(bytes_of(first), 1, 10 * PAGE_SIZE);
    page_heap_give((page_id){first.n + 4}, 6);
    cr_assert(page_heap_grow(first, 4, 7, &clean));
    cr_assert_not(clean);
    cr_assert_eq(page_heap_counts().dirty_pages, 3);
    check();
}

Test(page_heap, grow_refuses_used_pages_and_the_ends_of_zones)
{
    bool clean;
    page_id first = take(8, 16 * PAGE_SIZE), next = take(1, PAGE_SIZE);
    cr_assert_eq(next.n, first.n + 8);
    cr_assert_not(page_heap_grow(first, 8, 9, &clean));
    cr_assert_not(page_heap_grow(first, 8, ZONE_PAGES + 8, &clean));
    page_id whole = take(ZONE_PAGES, ZONE_SIZE);
    cr_assert_not(page_heap_grow(whole, ZONE_PAGES, ZONE_PAGES + 1, &clean));
    cr_assert_eq(page_heap_counts().used_pages, 9 + ZONE_PAGES);
    page_id large = take(ZONE_PAGES + 1, PAGE_SIZE);
    cr_assert(page_heap_grow(large, ZONE_PAGES + 1, 2 * ZONE_PAGES, &clean));
    cr_assert_not(page_heap_grow(large, 2 * ZONE_PAGES, 2 * ZONE_PAGES + 1, &clean));
    check();
}

// --- What comes while a stripe's lock is held.

static struct stripe *stripe_of(page_id page)
{
    return &heap.stripes[load_relaxed(&zone_at(page_zone(page))->stripe)];
}

static atomic_u32 stage;
static struct stripe *held_stripe;

static void wait_for(uint32_t wanted)
{
    while (load_acquire(&stage) != wanted)
        sleep_ms(1);
}

// Holds the lock from stage 1 to stage 2.
static void *hold_stripe(void *arg)
{
    lock_take(&held_stripe->lock);
    store_release(&stage, 1);
    wait_for(2);
    stripe_leave(held_stripe);
    return arg;
}

static pthread_t start_holder(struct stripe *stripe)
{
    pthread_t thread;
    held_stripe = stripe;
    cr_assert_eq(pthread_create(&thread, NULL, hold_stripe, NULL), 0);
    wait_for(1);
    return thread;
}

Test(page_heap, what_is_given_to_a_held_stripe_waits_in_its_intake, .timeout = 60)
{
    page_id a = take(3, PAGE_SIZE), b = take(200, PAGE_SIZE);
    pthread_t holder = start_holder(stripe_of(a));
    page_heap_give(a, 3);
    page_heap_give((page_id){b.n + 100}, 100);
    cr_assert_not(intake_is_empty(&held_stripe->intake));
    cr_assert_eq(held_stripe->used, 203);
    store_release(&stage, 2);
    pthread_join(holder, NULL);
    cr_assert(intake_is_empty(&held_stripe->intake));
    cr_assert_eq(held_stripe->used, 100);
    check();
}

Test(page_heap, a_returning_block_keeps_the_head_of_its_descriptor, .timeout = 60)
{
    page_id page = take(3, PAGE_SIZE);
    memset(page_descriptor(page), 0x5a, PAGE_DESCRIPTOR_BYTES);
    pthread_t holder = start_holder(stripe_of(page));
    page_heap_give(page, 3);
    const unsigned char *descriptor = page_descriptor(page);
    for (size_t i = 0; i < 32; i++)
        cr_assert_eq(descriptor[i], 0x5a);
    store_release(&stage, 2);
    pthread_join(holder, NULL);
    check();
}

static bool run_on(unsigned cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0;
}

static void *release_after_a_while(void *arg)
{
    sleep_ms(200);
    store_release(&stage, 2);
    return arg;
}

Test(page_heap, a_held_stripe_is_waited_for_rather_than_a_zone_opened, .timeout = 60)
{
    pthread_t releaser;
    cr_assert(run_on(sched_getcpu() < 0 ? 0 : (unsigned)sched_getcpu())); // else a zone here would be right
    page_id first = take(1, PAGE_SIZE);
    pthread_t holder = start_holder(stripe_of(first));
    cr_assert_eq(pthread_create(&releaser, NULL, release_after_a_while, NULL), 0);
    page_id next = take(1, PAGE_SIZE);
    pthread_join(holder, NULL);
    pthread_join(releaser, NULL);
    cr_assert_eq(next.n, first.n + 1);
    cr_assert_eq(zone_table_counts().opened_zones, 1);
    check();
}

// --- Recent blocks.

Test(page_heap, a_recent_block_is_dirty_and_comes_back_whole)
{
    page_id block = take(100, PAGE_SIZE);
    page_heap_give_recent(block, 100);
    cr_assert_eq(page_heap_counts().used_pages, 0);
    cr_assert_eq(page_heap_counts().dirty_pages, 100);
    check();
    cr_assert_eq(page_heap_take_recent(101).n, 0);
    cr_assert_eq(page_heap_take_recent(100).first.n, block.n);
    cr_assert_eq(page_heap_counts().used_pages, 100);
    check();
}

Test(page_heap, recent_blocks_go_before_the_heap_grows)
{
    page_id block = take(ZONE_PAGES, PAGE_SIZE);
    page_heap_give_recent(block, ZONE_PAGES);
    cr_assert_eq(take(ZONE_PAGES / 2, PAGE_SIZE).n, block.n);
    cr_assert_eq(zone_table_counts().opened_zones, 1);
    check();
}

Test(page_heap, recent_blocks_make_way_for_what_stands_before_them)
{
    bool clean;
    page_id first = take(4, PAGE_SIZE), next = take(4, PAGE_SIZE);
    cr_assert_eq(next.n, first.n + 4);
    page_heap_give_recent(next, 4);
    cr_assert(page_heap_grow(first, 4, 8, &clean));
    cr_assert_not(clean);
    check();
}

Test(page_heap, recent_blocks_are_purged)
{
    page_id block = take(100, PAGE_SIZE);
    bytes_of(block)[0] = 1;
    page_heap_give_recent(block, 100);
    cr_assert_eq(page_heap_purge(), 100 * PAGE_SIZE);
    cr_assert_eq(page_heap_counts().dirty_pages, 0);
    cr_assert_eq(page_heap_take_recent(100).n, 0);
    check();
}

Test(page_heap, nothing_is_recent_where_memory_goes_back_at_once)
{
    page_id block = take(100, PAGE_SIZE);
    store_relaxed(&options.decay_ms, 0);
    page_heap_give_recent(block, 100);
    cr_assert_eq(page_heap_take_recent(100).n, 0);
    cr_assert_eq(page_heap_counts().dirty_pages, 0);
}

// A process that only takes and gives recent blocks reads the clock now and then.
Test(page_heap, recent_blocks_decay)
{
    store_relaxed(&options.decay_ms, 1);
    page_id block = take(100, PAGE_SIZE), idle = take(50, PAGE_SIZE);
    page_heap_give(idle, 50);
    for (int i = 0; page_heap_counts().dirty_pages != 0; i++) {
        cr_assert_lt(i, 10000);
        page_heap_give_recent(block, 100);
        block.n = page_heap_take_recent(100).first.n;
        if (block.n == NO_PAGE.n) // a tick came in between
            block = take(100, PAGE_SIZE);
        sleep_ms(1);
    }
    check();
}

static page_id late; // given by a thread that found the lock held, but after the holder's last look

static void after_unlock(void)
{
    fence_after_exchange();
    if (late.n == 0)
        return;
    struct returning *block = page_descriptor(late);
    block->first = late;
    block->n = 10;
    late.n = 0;
    intake_push(&held_stripe->intake, &block->node);
}

Test(page_heap, what_comes_as_the_holder_leaves_is_not_left_behind)
{
    page_id first = take(1, PAGE_SIZE), block = take(10, PAGE_SIZE);
    held_stripe = stripe_of(block);
    cr_assert_eq(held_stripe, stripe_of(first));
    late = block;
    page_heap_give(first, 1);
    cr_assert_eq(late.n, 0);
    cr_assert(intake_is_drained(&held_stripe->intake));
    cr_assert_eq(held_stripe->used, 0);
    check();
}

// As in a signal handler that interrupted the thread inside the stripe.
Test(page_heap, who_holds_a_stripe_is_served_by_others_and_gives_through_the_intake, .timeout = 60)
{
    page_id first = take(1, PAGE_SIZE);
    struct stripe *own = stripe_of(first);
    cr_assert(lock_try(&own->lock));
    size_t fresh = 0;
    page_id other = take_from_any(1, 1, &fresh, true);
    settle(0, fresh);
    cr_assert(other.n == NO_PAGE.n || stripe_of(other) != own);
    page_heap_give(first, 1);
    cr_assert_eq(own->used, 1);
    stripe_leave(own);
    cr_assert_eq(own->used, 0);
    check();
}

Test(page_heap, room_behind_a_held_lock_is_not_waited_for)
{
    if (!run_on(1) || !run_on(0))
        cr_skip_test("needs two processors");
    struct stripe *far = stripe_of(take(1, PAGE_SIZE));
    cr_assert(run_on(1));
    page_id near = take(1, PAGE_SIZE); // the lock is free: no reason for another zone
    cr_assert_eq(stripe_of(near), far);
    pthread_t holder = start_holder(far);
    near = take(1, PAGE_SIZE);
    cr_assert_neq(stripe_of(near), far);
    store_release(&stage, 2);
    pthread_join(holder, NULL);
    cr_assert_eq(zone_table_counts().opened_zones, 2);
    cr_assert_eq(stripe_of(take(1, PAGE_SIZE)), stripe_of(near));
    check();
}

// --- Giving memory back.

static void expect_charged(uint64_t pages)
{
    cr_assert_eq(limit_charged(), pages * PAGE_SIZE + meta_bytes());
    check();
}

Test(page_heap, purge_returns_all_free_memory)
{
    page_id blocks[20];
    for (int i = 0; i < 20; i++) {
        blocks[i] = take(10, PAGE_SIZE);
        memset(bytes_of(blocks[i]), 7, 10 * PAGE_SIZE);
    }
    for (int i = 0; i < 20; i += 2)
        page_heap_give(blocks[i], 10);
    cr_assert_eq(page_heap_purge(), 100 * PAGE_SIZE);
    check();
    struct page_heap_counts counts = page_heap_counts();
    cr_assert_eq(counts.dirty_pages, 0);
    cr_assert_eq(counts.pages_purged, 100);
    cr_assert_eq(counts.used_pages, 100);
    cr_assert(reads_as_zeros(blocks[4], 10));
    cr_assert_eq(bytes_of(blocks[5])[0], 7);
    cr_assert_eq(page_heap_purge(), 0);
}

Test(page_heap, a_refused_purge_leaves_pages_dirty)
{
    page_id block = take(WHOLE, PAGE_SIZE);
    take(1, PAGE_SIZE);
    page_heap_give(block, WHOLE);
    os_fail_nth(1);
    cr_assert_eq(page_heap_purge(), 0);
    check();
    cr_assert_eq(page_heap_counts().dirty_pages, WHOLE);
    cr_assert_eq(page_heap_purge(), WHOLE * PAGE_SIZE);
    check();
}

// Where the kernel's pages are larger, its page goes back as a whole, or, when it is refused, is dirty as a
// whole.
static size_t resident_descriptors(page_id page)
{
    struct zone *zone = zone_of_page(page);
    return os_resident_pages(zone->descriptors, sizeof zone->descriptors) * os_page_size();
}

static void describe(page_id first, size_t n)
{
    for (size_t i = 0; i < n; i++)
        memset(page_descriptor((page_id){first.n + (uint32_t)i}), 1, PAGE_DESCRIPTOR_BYTES);
}

Test(page_heap, descriptors_go_back_with_their_pages)
{
    page_id kept = take(1, PAGE_SIZE), gone = take(ZONE_PAGES / 2, PAGE_SIZE);
    describe(kept, 1);
    describe(gone, ZONE_PAGES / 2);
    page_heap_give(gone, ZONE_PAGES / 2);
    cr_assert_geq(resident_descriptors(kept), ZONE_PAGES / 2 * PAGE_DESCRIPTOR_BYTES);
    page_heap_purge();
    cr_assert_leq(resident_descriptors(kept), 2 * max_size(os_page_size(), DESCRIBED_BYTES));
    cr_assert_eq(*(unsigned char *)page_descriptor(kept), 1);
    check();
    page_heap_give(kept, 1);
    page_heap_purge();
    cr_assert_eq(resident_descriptors(kept), 0);
    cr_assert_eq(*(unsigned char *)page_descriptor(kept), 0);
    cr_assert_eq(*(unsigned char *)page_descriptor((page_id){gone.n + 100}), 0);
    check();
}

// One that is left over for a moment by each of two neighbours' purges.
Test(page_heap, descriptors_go_back_whatever_order_their_pages_go_in)
{
    enum { PAGES = 256, STEP = 97 };
    page_id first = take(PAGES, PAGE_SIZE);
    describe(first, PAGES);
    for (size_t i = 0; i < PAGES; i++) {
        page_heap_give((page_id){first.n + (uint32_t)(i * STEP % PAGES)}, 1);
        if (i % 16 == 0)
            page_heap_purge();
    }
    page_heap_purge();
    cr_assert_eq(resident_descriptors(first), 0);
    check();
}

Test(page_heap, descriptors_of_free_zones_go_back)
{
    page_id first = take(3 * ZONE_PAGES, PAGE_SIZE);
    for (uint32_t zone = 0; zone < 3; zone++)
        describe((page_id){first.n + zone * (uint32_t)ZONE_PAGES}, 1);
    page_heap_give(first, 3 * ZONE_PAGES);
    cr_assert_not(page_heap_is_settled());
    page_heap_purge();
    for (uint32_t zone = 0; zone < 3; zone++)
        cr_assert_eq(resident_descriptors((page_id){first.n + zone * (uint32_t)ZONE_PAGES}), 0);
    cr_assert(page_heap_is_settled());
    check();
}

Test(page_heap, clean_pages_share_the_kernels_page_with_a_dirty_one)
{
    size_t unit = purge_unit();
    take(unit, PAGE_SIZE);
    page_heap_give(take(1, PAGE_SIZE), 1);
    os_fail_nth(1);
    cr_assert_eq(page_heap_purge(), 0);
    cr_assert_eq(page_heap_counts().dirty_pages, unit);
    expect_charged(2 * unit);
    cr_assert_eq(page_heap_purge(), unit * PAGE_SIZE);
    page_heap_give(take(1, PAGE_SIZE), 1);
    cr_assert_eq(page_heap_purge(), PAGE_SIZE);
    cr_assert_eq(page_heap_counts().pages_purged, unit + 1);
    expect_charged(unit);
}

Test(page_heap, decay_off_keeps_everything)
{
    page_id block = take(10, PAGE_SIZE);
    bytes_of(block)[0] = 7;
    page_heap_give(block, 10);
    for (int i = 0; i < 5; i++) {
        sleep_ms(10);
        page_heap_decay();
    }
    cr_assert_eq(bytes_of(block)[0], 7);
    cr_assert_eq(page_heap_counts().dirty_pages, 10);
}

Test(page_heap, decay_of_zero_returns_memory_at_once)
{
    size_t unit = purge_unit(); // what is kept is to share no page of the kernel's
    page_id keep = take(unit, PAGE_SIZE);
    cr_assert_eq(options_set("DECAY_MS", "0"), 0);
    for (size_t n = 1; n < 3 * ZONE_PAGES; n = n * 3 + 1) {
        page_id block = take(n, PAGE_SIZE);
        bytes_of(block)[0] = 7;
        page_heap_give(block, n);
        cr_assert_eq(bytes_of(block)[0], 0);
        cr_assert_eq(page_heap_counts().dirty_pages, 0);
        check();
    }
    page_heap_give(keep, unit);
    cr_assert_eq(page_heap_counts().dirty_pages, 0);
}

Test(page_heap, decay_waits_for_its_time_and_not_much_longer)
{
    page_id young, old = take(10, PAGE_SIZE);
    take(1, PAGE_SIZE);
    cr_assert_eq(options_set("DECAY_MS", "200"), 0);
    page_heap_give(old, 10);
    bytes_of(old)[0] = 7;
    uint64_t given = os_now_ms();
    while (bytes_of(old)[0] == 7 && os_now_ms() - given < 10000) {
        sleep_ms(5);
        page_heap_decay();
    }
    uint64_t passed = os_now_ms() - given;
    cr_assert_geq(passed, 150);
    cr_assert_leq(passed, 2000);
    young = take(20, PAGE_SIZE); // freed just before the tick: it has to see another one
    page_heap_give(young, 20);
    bytes_of(young)[0] = 7;
    purge(0, DECAY_PHASES, false);
    cr_assert_eq(bytes_of(young)[0], 7);
    purge(0, DECAY_PHASES, false);
    cr_assert_eq(bytes_of(young)[0], 0);
    check();
}

static void let_the_period_pass(void)
{
    store_relaxed(&heap.clock.last_ms, os_now_ms() - 5000);
    page_heap_decay();
}

Test(page_heap, memory_decays_in_the_second_period_after_it_was_freed)
{
    page_id in_stripe = take(WHOLE, PAGE_SIZE), large = take(2 * ZONE_PAGES, PAGE_SIZE);
    take(1, PAGE_SIZE);
    cr_assert_eq(options_set("DECAY_MS", "3000"), 0);
    page_heap_give(in_stripe, WHOLE);
    page_heap_give(large, 2 * ZONE_PAGES);
    bytes_of(in_stripe)[0] = bytes_of(large)[0] = 7;
    let_the_period_pass();
    cr_assert_eq(bytes_of(in_stripe)[0], 7);
    cr_assert_eq(bytes_of(large)[0], 7);
    page_heap_decay(); // the next period has only begun
    cr_assert_eq(bytes_of(in_stripe)[0], 7);
    let_the_period_pass();
    cr_assert_eq(bytes_of(in_stripe)[0], 0);
    cr_assert_eq(bytes_of(large)[0], 0);
    cr_assert_eq(page_heap_counts().dirty_pages, 0);
    check();
}

Test(page_heap, a_clock_read_before_another_threads_turn_brings_no_second_turn)
{
    page_id block = take(10, PAGE_SIZE);
    take(1, PAGE_SIZE);
    page_heap_give(block, 10);
    bytes_of(block)[0] = 7;
    cr_assert_eq(options_set("DECAY_MS", "1000"), 0);
    purge(0, DECAY_PHASES, false); // the other thread's turn: what is free is aged from now on
    uint64_t turn = os_now_ms() + 50;
    store_relaxed(&heap.clock.last_ms, turn);
    page_heap_decay();
    cr_assert_eq(load_relaxed(&heap.clock.last_ms), turn);
    cr_assert_eq(bytes_of(block)[0], 7);
}

// Three halves of zones, of which a page each is used.
static void leave_halves_free(void)
{
    page_id halves[3];
    store_relaxed(&options.decay_ms, 3600000);
    for (int i = 0; i < 3; i++)
        halves[i] = take(ZONE_PAGES / 2, PAGE_SIZE);
    for (int i = 0; i < 3; i++)
        page_heap_give((page_id){halves[i].n + 1}, ZONE_PAGES / 2 - 1);
    cr_assert(keeps_much());
}

// A block that fills fresh memory while much lies free is paid for with what lies free, and did so when the
// one before it came.
Test(page_heap, large_blocks_of_fresh_memory_send_as_much_free_memory_back)
{
    leave_halves_free();
    uint64_t dirty = page_heap_counts().dirty_pages;
    take(ZONE_PAGES, PAGE_SIZE);
    cr_assert_eq(page_heap_counts().dirty_pages, dirty);
    take(ZONE_PAGES, PAGE_SIZE);
    cr_assert_leq(page_heap_counts().dirty_pages, MUCH_LEAST);
    check();
}

Test(page_heap, where_large_blocks_are_filled_free_memory_goes_back_at_once)
{
    leave_halves_free();
    huge_learn(true);
    huge_learn(true);
    take(ZONE_PAGES, PAGE_SIZE);
    cr_assert_not(keeps_much());
    cr_assert_gt(page_heap_counts().dirty_pages, 0);
    check();
}

Test(page_heap, who_holds_a_stripe_sends_nothing_back_for_fresh_memory, .timeout = 10)
{
    leave_halves_free();
    uint64_t dirty = page_heap_counts().dirty_pages;
    lock_take(&heap.stripes[3].lock);
    exchange_dirty(ZONE_PAGES);
    lock_drop(&heap.stripes[3].lock);
    cr_assert_eq(page_heap_counts().dirty_pages, dirty);
}

Test(page_heap, huge_pages_of_which_parts_are_free_go_back_where_nothing_else_is)
{
    store_relaxed(&options.decay_ms, 3600000);
    huge_learn(true);
    huge_learn(true);
    page_id block = take(ZONE_PAGES, PAGE_SIZE);
    for (uint32_t page = 0; page < ZONE_PAGES; page += HUGE_PAGES)
        page_heap_give((page_id){block.n + page + 1}, HUGE_PAGES - 1);
    cr_assert(keeps_much());
    take(ZONE_PAGES, PAGE_SIZE);
    cr_assert_not(keeps_much());
    check();
}

Test(page_heap, little_free_memory_stays)
{
    page_id block = take(100, PAGE_SIZE);
    take(1, PAGE_SIZE);
    store_relaxed(&options.decay_ms, 3600000);
    page_heap_give(block, 100);
    take(ZONE_PAGES, PAGE_SIZE);
    cr_assert_eq(page_heap_counts().dirty_pages, 100);
}

// Almost 96 MiB lie free, in pieces of three zones.
static void leave_much_free(void)
{
    for (int i = 0; i < 3; i++) {
        page_id zone = take(ZONE_PAGES, PAGE_SIZE);
        for (uint32_t page = 0; page < ZONE_PAGES; page += 64)
            page_heap_give((page_id){zone.n + page + 1}, 63);
    }
}

Test(page_heap, a_growing_heap_gives_back_what_was_free_at_the_last_look)
{
    leave_much_free();
    uint64_t dirty = page_heap_counts().dirty_pages;
    page_heap_contain();
    cr_assert_eq(page_heap_counts().dirty_pages, dirty);
    page_heap_contain();
    cr_assert_lt(page_heap_counts().dirty_pages, dirty);
    cr_assert_gt(page_heap_counts().dirty_pages, KEPT_LEAST / 2, "a share is worth keeping");
    dirty = page_heap_counts().dirty_pages;
    page_heap_contain();
    cr_assert_eq(page_heap_counts().dirty_pages, dirty);
    check();
}

Test(page_heap, who_holds_a_stripe_contains_nothing)
{
    leave_much_free();
    page_heap_contain();
    uint64_t dirty = page_heap_counts().dirty_pages;
    lock_take(&heap.stripes[3].lock);
    page_heap_contain();
    lock_drop(&heap.stripes[3].lock);
    cr_assert_eq(page_heap_counts().dirty_pages, dirty);
}

// --- The limit.

Test(page_heap, the_limit_counts_used_dirty_and_metadata)
{
    take(1, PAGE_SIZE);
    size_t limit = meta_bytes() + 1000 * PAGE_SIZE;
    set_hard_limit(limit);
    page_id block = take(900, PAGE_SIZE);
    cr_assert_eq(page_heap_take(200, PAGE_SIZE).first.n, NO_PAGE.n);
    cr_assert_eq(page_heap_take(ZONE_PAGES + 1, PAGE_SIZE).first.n, NO_PAGE.n);
    bool clean;
    cr_assert_not(page_heap_grow(block, 900, 1000, &clean));
    check();
    page_heap_give(block, 900);
    page_id other = take(512, 512 * PAGE_SIZE);
    cr_assert_eq(page_heap_counts().used_pages, 513);
    struct page_heap_counts counts = page_heap_counts();
    cr_assert_leq((counts.used_pages + counts.dirty_pages) * PAGE_SIZE + meta_bytes(), limit);
    page_heap_give(other, 512);
    check();
    set_hard_limit(1);
    cr_assert_eq(page_heap_take(1, PAGE_SIZE).first.n, NO_PAGE.n);
    set_hard_limit(0);
    take(2000, PAGE_SIZE);
}

static void take_and_give_charged(void)
{
    store_relaxed(&options.decay_ms, 3600000);
    page_id small = take(10, PAGE_SIZE);
    expect_charged(10);
    page_heap_give(small, 8);
    expect_charged(10);
    cr_assert_eq(take(8, PAGE_SIZE).n, small.n); // dirty, so not charged again
    expect_charged(10);
    page_id large = take(ZONE_PAGES + 7, PAGE_SIZE);
    expect_charged(ZONE_PAGES + 17);
    page_heap_give(large, ZONE_PAGES + 7);
    expect_charged(ZONE_PAGES + 17);
    take(20, PAGE_SIZE); // in part from what is dirty
    uint64_t pages = page_heap_counts().used_pages + page_heap_counts().dirty_pages;
    expect_charged(pages);
    page_heap_give(small, 10);
    page_heap_purge();
    expect_charged(20);
}

Test(page_heap, what_may_be_resident_is_charged) { take_and_give_charged(); }

// Then it is charged before it is taken, and too much at first.
Test(page_heap, the_same_is_charged_below_a_limit)
{
    set_hard_limit((size_t)1 << 40);
    take_and_give_charged();
}

// So that what is free lies in pieces.
static void give_every_other(int n, size_t pages)
{
    page_id blocks[64];
    for (int i = 0; i < n; i++)
        blocks[i] = take(pages, PAGE_SIZE);
    for (int i = 0; i < n; i += 2)
        page_heap_give(blocks[i], pages);
}

Test(page_heap, near_the_limit_no_more_goes_back_than_must)
{
    store_relaxed(&options.decay_ms, 3600000);
    give_every_other(64, 32);
    set_hard_limit(limit_charged() + 50 * PAGE_SIZE);
    take(200, PAGE_SIZE);
    cr_assert_gt(page_heap_counts().dirty_pages, 512u);
    cr_assert_leq(limit_charged(), limit_bound(LIMIT_HARD));
    check();
}

Test(page_heap, relief_ends_at_the_bound)
{
    store_relaxed(&options.decay_ms, 3600000);
    give_every_other(64, 32);
    page_id block = take(WHOLE, PAGE_SIZE);
    take(purge_unit(), PAGE_SIZE);
    page_heap_give_recent(block, WHOLE);
    uint64_t bound = limit_charged() - 100 * PAGE_SIZE;
    page_heap_relieve(bound);
    cr_assert_leq(limit_charged(), bound);
    cr_assert_gt(page_heap_counts().dirty_pages, 512u);
    page_heap_relieve(0);
    expect_charged(1024 + purge_unit());
}

Test(page_heap, above_the_soft_limit_memory_goes_back_though_it_is_not_due)
{
    store_relaxed(&options.decay_ms, -1);
    page_id block = take(100, PAGE_SIZE);
    set_soft_limit(limit_charged() + 100 * PAGE_SIZE);
    page_id other = take(150, PAGE_SIZE);
    page_heap_give_recent(block, 100);
    page_heap_give(other, 150);
    cr_assert_leq(limit_charged(), limit_bound(LIMIT_SOFT));
    cr_assert_not(limit_is_above_soft() && limit_charged() < limit_bound(LIMIT_SOFT) / 2);
    check();
}

static void *take_until_refused(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    while (page_heap_take((size_t)1 + seed++ * 7 % 40, PAGE_SIZE).first.n != NO_PAGE.n)
        cr_assert_leq(limit_charged(), limit_bound(LIMIT_HARD));
    return NULL;
}

Test(page_heap, threads_together_do_not_pass_the_limit)
{
    pthread_t threads[4];
    unsigned seeds[4] = {1, 2, 3, 4};
    take(1, PAGE_SIZE);
    set_hard_limit(limit_charged() + 5000 * PAGE_SIZE);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, take_until_refused, &seeds[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    cr_assert_leq(page_heap_counts().used_pages * PAGE_SIZE + meta_bytes(), limit_bound(LIMIT_HARD));
    size_t zone_state = align_up(sizeof(struct zone), os_page_size()); // the last request may have wanted one
    cr_assert_geq(limit_charged() + 40 * PAGE_SIZE + zone_state, limit_bound(LIMIT_HARD));
    check();
}

// --- Where address space is short.

static atomic_u32 arrived;

static void *take_one_page_with_others(void *arg)
{
    struct page_block *block = arg;
    fetch_add_relaxed(&arrived, 1);
    while (load_relaxed(&arrived) % 4 != 0)
        os_yield();
    *block = page_heap_take(1, PAGE_SIZE);
    return NULL;
}

static void start_limited(void)
{
#if !TARN_TSAN && !defined(__SANITIZE_ADDRESS__) // those need more than that
    struct rlimit limit = {GIB, GIB};
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
#endif
    setenv("TARN_STRIPES", "1", 1);
    setenv("TARN_DECAY_MS", "-1", 1);
    cr_assert(heap_start());
}

static size_t free_zones_in_stripes(void)
{
    size_t zones = 0;
    for (uint32_t i = 0; i < heap.stripe_count; i++)
        for (struct zone *zone = heap.stripes[i].buckets[BUDDY_TOP_ORDER]; zone != NULL; zone = zone->next)
            zones++;
    return zones;
}

Test(page_heap_limited, threads_that_open_zones_at_once_leave_none_unused, .init = start_limited,
     .timeout = 60)
{
    pthread_t threads[4];
    struct page_block blocks[4];
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 4; i++)
            cr_assert_eq(pthread_create(&threads[i], NULL, take_one_page_with_others, &blocks[i]), 0);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        for (int i = 0; i < 4; i++)
            page_heap_give(blocks[i].first, 1);
        check();
        cr_assert_leq(free_zones_in_stripes(), page_map_is_reserved() ? 1 : 0, "round %d", round);
        release_free_zones(); // all begin without a zone again
        cr_assert_eq(free_zones_in_stripes(), 0);
        cr_assert_eq(zone_table_counts().opened_zones, 0);
    }
}

// --- Refusals of the kernel.

// Repeats a step with the first, the second, ... call to the kernel failing, until it runs without.
static uint32_t with_every_fault(void (*step)(void))
{
    uint32_t nth = 0, reached;
    do {
        os_fail_nth(++nth);
        step();
        reached = os_fallible_calls();
        os_fail_nth(0);
        check();
        cr_assert_eq(page_heap_counts().used_pages, 0);
        release_free_zones(); // so that the next round asks the kernel again
        check();
    } while (reached >= nth);
    cr_assert_gt(nth, 1);
    return nth;
}

static void take_or_not(size_t n, size_t align)
{
    struct page_block block = page_heap_take(n, align);
    cr_assert(page_heap_validate());
    if (block.first.n == NO_PAGE.n)
        return;
    bytes_of(block.first)[0] = bytes_of(block.first)[n * PAGE_SIZE - 1] = 1;
    page_map_set(block.first, n, PAGE_LARGE);
    page_map_set(block.first, n, 0);
    page_heap_give(block.first, n);
}

static void take_small(void) { take_or_not(3, PAGE_SIZE); }
static void take_large(void) { take_or_not(2 * ZONE_PAGES + 7, PAGE_SIZE); }
static void take_aligned(void) { take_or_not(5, 4 * ZONE_SIZE); }
static void take_and_purge(void)
{
    struct page_block block = page_heap_take(10, PAGE_SIZE);
    if (block.first.n == NO_PAGE.n)
        return;
    page_heap_give(block.first, 5);
    page_heap_purge();
    cr_assert(page_heap_validate());
    page_heap_give((page_id){block.first.n + 5}, 5);
    page_heap_purge();
}

Test(page_heap, faults_while_taking_a_small_block) { with_every_fault(take_small); }
Test(page_heap, faults_while_taking_a_large_block) { with_every_fault(take_large); }
Test(page_heap, faults_while_taking_an_aligned_block) { with_every_fault(take_aligned); }
Test(page_heap, faults_while_purging) { with_every_fault(take_and_purge); }

// --- Many threads.

enum { THREADS = 6, HELD = 40, STEPS = 3000 };

struct held_block {
    page_id first;
    size_t n;
    uint64_t mark;
};

static struct held_block exchanged[HELD]; // guarded by exchange_lock
static pthread_mutex_t exchange_lock = PTHREAD_MUTEX_INITIALIZER;

static void write_marks(struct held_block *block, uint64_t mark)
{
    block->mark = mark;
    for (size_t i = 0; i<block->n; i += block->n> 64 ? block->n - 1 : 1)
        *(uint64_t *)page_address((page_id){block->first.n + (uint32_t)i}) = mark + i;
}

static bool marks_are_whole(const struct held_block *block)
{
    for (size_t i = 0; i<block->n; i += block->n> 64 ? block->n - 1 : 1)
        if (*(uint64_t *)page_address((page_id){block->first.n + (uint32_t)i}) != block->mark + i)
            return false;
    return true;
}

// Gives a block back, often in two pieces.
static void give_some_way(struct held_block *block, uint64_t *state)
{
    size_t head = seeded_next(state, 2) == 0 ? block->n : 1 + seeded_next(state, block->n);
    page_heap_give(block->first, head);
    if (head < block->n)
        page_heap_give((page_id){block->first.n + (uint32_t)head}, block->n - head);
    block->n = 0;
}

static bool take_some_block(struct held_block *block, uint64_t *state)
{
    static const size_t kinds[] = {1, 4, 16, 64, 300, 2000, 5000};
    size_t kind = seeded_next(state, 100);
    size_t most = kinds[kind < 94 ? kind % 5 : 5 + kind % 2];
    size_t align = (size_t)1 << (PAGE_SHIFT + seeded_next(state, 6));
    block->n = 1 + seeded_next(state, most);
    struct page_block taken = page_heap_take(block->n, align);
    block->first = taken.first;
    if (taken.first.n == NO_PAGE.n || (uintptr_t)page_address(taken.first) % align != 0)
        return false;
    if (taken.clean && *(uint64_t *)page_address(taken.first) != 0)
        return false;
    write_marks(block, *state);
    return true;
}

static bool grow_some(struct held_block *block, uint64_t *state)
{
    bool clean;
    size_t wanted = block->n + 1 + seeded_next(state, 20);
    if (!page_heap_grow(block->first, block->n, wanted, &clean))
        return true;
    uint64_t *next = page_address((page_id){block->first.n + (uint32_t)block->n});
    bool sound = !clean || *next == 0;
    block->n = wanted;
    write_marks(block, *state);
    return sound;
}

static void exchange(struct held_block *block, uint64_t *state)
{
    size_t i = seeded_next(state, HELD);
    pthread_mutex_lock(&exchange_lock);
    struct held_block other = exchanged[i];
    exchanged[i] = *block;
    pthread_mutex_unlock(&exchange_lock);
    *block = other;
}

static bool random_step(struct held_block *blocks, uint64_t *state)
{
    struct held_block *block = &blocks[seeded_next(state, HELD)];
    if (block->n == 0)
        return take_some_block(block, state);
    if (!marks_are_whole(block))
        return false;
    switch (seeded_next(state, 8)) {
    case 0:
        return grow_some(block, state);
    case 1:
    case 2:
        exchange(block, state);
        return true;
    default:
        give_some_way(block, state);
        return true;
    }
}

static void *random_thread(void *arg)
{
    struct held_block blocks[HELD] = {{.n = 0}};
    uint64_t state = *(uint64_t *)arg;
    for (int i = 0; i < STEPS; i++) {
        if (!random_step(blocks, &state))
            return NULL;
        if (i % 1000 == 999)
            page_heap_purge();
    }
    for (size_t i = 0; i < HELD; i++)
        if (blocks[i].n != 0)
            give_some_way(&blocks[i], &state);
    return arg;
}

static void run_random_threads(const char *name)
{
    pthread_t threads[THREADS];
    uint64_t seeds[THREADS], seed = seeded_start(name);
    for (uint64_t i = 0; i < THREADS; i++) {
        seeds[i] = seed + i;
        cr_assert_eq(pthread_create(&threads[i], NULL, random_thread, &seeds[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        cr_assert_eq(result, &seeds[i], "a block was damaged, shared or refused");
    }
    for (uint32_t i = 0; i < heap.stripe_count; i++)
        cr_assert(intake_is_empty(&heap.stripes[i].intake), "a block was left behind");
    check();
    for (size_t i = 0; i < HELD; i++)
        if (exchanged[i].n != 0)
            page_heap_give(exchanged[i].first, exchanged[i].n);
    check();
    cr_assert_eq(page_heap_counts().used_pages, 0);
}

Test(page_heap, threads_take_give_and_grow, .timeout = 120)
{
    run_random_threads("page_heap threads");
    page_heap_purge();
    check();
    cr_assert_eq(page_heap_counts().dirty_pages, 0);
}

Test(page_heap, threads_while_memory_decays_at_once, .timeout = 120)
{
    cr_assert_eq(options_set("DECAY_MS", "1"), 0);
    run_random_threads("page_heap threads with decay");
}

// --- fork.

static void expect_child(int (*what)(void))
{
    int status = 0;
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        alarm(30);
        _exit(what());
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0, "status %x", (unsigned)status);
}

static page_id kept, left;

static int child_uses_heap(void)
{
    for (size_t n = 1; n < 3 * ZONE_PAGES; n = 3 * n + 1) {
        struct page_block block = page_heap_take(n, PAGE_SIZE);
        if (block.first.n == NO_PAGE.n || !page_heap_validate())
            return 1;
        bytes_of(block.first)[n * PAGE_SIZE - 1] = 1;
        page_heap_give(block.first, n);
    }
    page_heap_purge();
    return page_heap_validate() ? 0 : 2;
}

// The handler that the heap registered has run page_heap_after_fork already.
static int child_of_held_stripe(void)
{
    if (!page_heap_validate() || load_relaxed(&held_stripe->lock.word) != 0)
        return 3;
    page_heap_after_fork(); // again: it may not do harm where nothing is to be mended
    if (bytes_of(kept)[0] != 9 || bytes_of(kept)[100 * PAGE_SIZE - 1] != 9)
        return 4;
    if (page_heap_counts().used_pages != 100)
        return 5;
    page_heap_give(kept, 100);
    return page_heap_counts().used_pages != 0 ? 6 : child_uses_heap();
}

// Stops with the zone's buddy state, its counts and the stripe's lists half changed.
static void *break_stripe(void *arg)
{
    struct zone *zone = zone_at(page_zone(kept));
    struct stripe *stripe = held_stripe;
    lock_take(&stripe->lock);
    struct buddy buddy = zone->buddy;
    struct zone *bucket = stripe->buckets[zone->bucket];
    uint32_t dirty_pages = zone->dirty_pages;
    memset(&zone->buddy, 0xa5, sizeof buddy);
    zone->dirty_pages = 7;
    stripe->used += 1000;
    stripe->buckets[zone->bucket] = NULL;
    store_release(&stage, 1);
    wait_for(2);
    zone->buddy = buddy;
    zone->dirty_pages = dirty_pages;
    stripe->used -= 1000;
    stripe->buckets[zone->bucket] = bucket;
    stripe_leave(stripe);
    return arg;
}

static void take_kept(void)
{
    kept = take(100, PAGE_SIZE);
    memset(bytes_of(kept), 9, 100 * PAGE_SIZE);
    left = take(100, PAGE_SIZE);
}

Test(page_heap, child_is_whole_where_a_vanished_thread_held_a_stripe, .timeout = 60)
{
    take_kept();
    pthread_t holder = start_holder(stripe_of(kept));
    page_heap_give(left, 100); // waits in the intake
    expect_child(child_of_held_stripe);
    store_release(&stage, 2);
    pthread_join(holder, NULL);
    cr_assert_eq(page_heap_counts().used_pages, 100);
    check();
}

Test(page_heap, child_is_whole_where_a_vanished_thread_was_changing_a_stripe, .timeout = 60)
{
    pthread_t thread;
    take_kept();
    page_heap_give(left, 100);
    held_stripe = stripe_of(kept);
    cr_assert_eq(pthread_create(&thread, NULL, break_stripe, NULL), 0);
    wait_for(1);
    expect_child(child_of_held_stripe);
    store_release(&stage, 2);
    pthread_join(thread, NULL);
    check();
}

static int child_of_own_stripe(void)
{
    if (!lock_is_mine(&held_stripe->lock))
        return 7;
    stripe_leave(held_stripe);
    return page_heap_counts().used_pages != 100 ? 8 : child_uses_heap();
}

Test(page_heap, child_keeps_a_stripe_that_the_forking_thread_held, .timeout = 60)
{
    take_kept();
    held_stripe = stripe_of(kept);
    lock_take(&held_stripe->lock);
    page_heap_give(left, 100);
    expect_child(child_of_own_stripe);
    stripe_leave(held_stripe);
    cr_assert_eq(page_heap_counts().used_pages, 100);
    check();
}

static void *hold_zone_table(void *arg)
{
    lock_take(&table.lock);
    uint64_t free_dirty = table.free_dirty;
    table.free_dirty = 12345;
    store_release(&stage, 1);
    wait_for(2);
    table.free_dirty = free_dirty;
    lock_drop(&table.lock);
    return arg;
}

static int child_of_held_zone_table(void)
{
    struct page_heap_counts counts = page_heap_counts();
    if (counts.opened_pages != counts.used_pages + counts.dirty_pages + counts.clean_pages)
        return 9;
    return counts.used_pages != 200 ? 10 : child_uses_heap();
}

Test(page_heap, child_is_whole_where_a_vanished_thread_held_the_zone_table, .timeout = 60)
{
    pthread_t thread;
    take_kept();
    page_heap_give(take(2 * ZONE_PAGES, PAGE_SIZE), 2 * ZONE_PAGES);
    cr_assert_eq(pthread_create(&thread, NULL, hold_zone_table, NULL), 0);
    wait_for(1);
    expect_child(child_of_held_zone_table);
    store_release(&stage, 2);
    pthread_join(thread, NULL);
    check();
}

static int child_inside_zone_table(void)
{
    if (!zone_table_is_mine())
        return 11;
    lock_drop(&table.lock); // the interrupted call goes on and ends
    return page_heap_counts().used_pages != 0 ? 12 : child_uses_heap();
}

// The drain in the child empties a second zone, which cannot go to a table that is being changed.
Test(page_heap, child_is_whole_where_it_interrupted_itself_in_the_zone_table, .timeout = 60)
{
    page_id block = take(10, PAGE_SIZE);
    give_free_zone_to(stripe_of(block));
    pthread_t holder = start_holder(stripe_of(block));
    page_heap_give(block, 10);
    lock_take(&table.lock);
    expect_child(child_inside_zone_table);
    lock_drop(&table.lock);
    store_release(&stage, 2);
    pthread_join(holder, NULL);
    check();
}

static atomic_u32 stop;

static void *take_and_give(void *arg)
{
    uint64_t state = *(uint64_t *)arg;
    struct held_block blocks[HELD] = {{.n = 0}};
    while (load_relaxed(&stop) == 0)
        if (!random_step(blocks, &state))
            return NULL;
    for (size_t i = 0; i < HELD; i++)
        if (blocks[i].n != 0)
            give_some_way(&blocks[i], &state);
    return arg;
}

Test(page_heap, children_of_busy_threads_are_whole, .timeout = 120)
{
    pthread_t threads[3];
    uint64_t seeds[3], seed = seeded_start("page_heap fork");
    for (uint64_t i = 0; i < 3; i++) {
        seeds[i] = seed + i;
        cr_assert_eq(pthread_create(&threads[i], NULL, take_and_give, &seeds[i]), 0);
    }
    for (int i = 0; i < (TARN_TSAN ? 10 : 60); i++)
        expect_child(child_uses_heap);
    store_relaxed(&stop, 1);
    for (int i = 0; i < 3; i++) {
        void *result;
        pthread_join(threads[i], &result);
        cr_assert_eq(result, &seeds[i]);
    }
    check();
}

// --- Huge pages.

static struct zone *fill_until_huge(page_id *last)
{
    for (int i = 0; i < 4 * (int)ZONE_PAGES; i++) {
        *last = take(1, PAGE_SIZE);
        if (load_relaxed(&zone_of_page(*last)->huge) != 0)
            return zone_of_page(*last);
        memset(bytes_of(*last), 1, PAGE_SIZE);
    }
    return NULL;
}

static void skip_other_kernels(void)
{
    if (os_page_size() != 4096)
        cr_skip("the kernel's huge pages are not of 2 MiB");
}

Test(page_heap, new_ranges_of_a_heap_in_much_use_are_huge_where_others_were_filled)
{
    page_id last;
    skip_other_kernels();
    struct zone *zone = fill_until_huge(&last);
    cr_assert_not_null(zone);
    cr_assert_eq(load_relaxed(&zone->huge), zone_ranges(page_in_zone(last), 1));
    cr_assert_eq(zone->dirty_pages, HUGE_PAGES - 1, "the rest of the range is memory too");
    check();
    page_id next = take(1, PAGE_SIZE);
    cr_assert_eq(next.n, last.n + 1, "and serves the next blocks");
    check();
}

Test(page_heap, new_ranges_are_small_where_others_stayed_empty)
{
    skip_other_kernels();
    for (size_t i = 0; i < 4 * ZONE_PAGES; i++)
        cr_assert_eq(load_relaxed(&zone_of_page(take(1, PAGE_SIZE))->huge), 0u);
}

Test(page_heap, a_huge_range_that_is_purged_in_part_gets_small_pages)
{
    page_id last;
    skip_other_kernels();
    struct zone *zone = fill_until_huge(&last);
    cr_assert_not_null(zone);
    page_heap_purge();
    cr_assert_eq(load_relaxed(&zone->huge), 0u);
    cr_assert_eq(zone->dirty_pages, 0u);
    check();
}

Test(page_heap, memory_given_back_inside_a_block_makes_its_range_small)
{
    page_id last;
    skip_other_kernels();
    struct zone *zone = fill_until_huge(&last);
    cr_assert_not_null(zone);
    page_heap_break_huge(last, 1);
    cr_assert_eq(load_relaxed(&zone->huge), 0u);
    check();
}

// --- Fresh blocks that get free memory.

#define SCATTERED 24

// Ranges that hold memory, free, with used ones between them; the program is known to fill its large blocks.
static void scatter(bool filled)
{
    page_id first[2 * SCATTERED];
    if (!page_heap_can_move())
        cr_skip("the kernel moves nothing");
    huge_learn(filled);
    huge_learn(filled);
    for (int i = 0; i < 2 * SCATTERED; i++) {
        first[i] = page_heap_take(HUGE_PAGES, HUGE_PAGES * PAGE_SIZE).first;
        memset(page_address(first[i]), 7, HUGE_PAGES * PAGE_SIZE);
    }
    for (int i = 0; i < 2 * SCATTERED; i += 2)
        page_heap_give(first[i], HUGE_PAGES);
    store_relaxed(&heap.fills, 1); // the next block is not the one that stays empty
}

static size_t resident_in(struct page_block block, size_t n)
{
    return os_resident_pages(page_address(block.first), n * PAGE_SIZE) * os_page_size() / PAGE_SIZE;
}

Test(page_heap, a_fresh_block_gets_what_lies_free)
{
    scatter(true);
    size_t n = 8 * HUGE_PAGES, dirty = page_heap_counts().dirty_pages;
    struct page_block block = page_heap_take_filled(n, PAGE_SIZE);
    cr_assert_not(block.clean);
    cr_assert_eq(resident_in(block, n), n);
    cr_assert_eq(page_heap_counts().dirty_pages, dirty - n);
    cr_assert(page_heap_validate());
    page_heap_give(block.first, n);
    page_heap_purge();
    cr_assert(page_heap_validate());
}

// A block between guards: neither they nor what is left of a range beside one gets any.
Test(page_heap, between_guards_whole_ranges_are_filled)
{
    scatter(true);
    size_t inner = 6 * HUGE_PAGES, n = inner + HUGE_PAGES / 2;
    struct page_block block = page_heap_take_second(n + 2, HUGE_PAGES, true);
    cr_assert_eq(resident_in(block, 1), 0u);
    block.first.n++;
    cr_assert_eq(block.first.n % HUGE_PAGES, 0u);
    cr_assert_eq(resident_in(block, inner), inner);
    cr_assert_eq(resident_in(block, n), inner);
    check();
}

// They would keep the rest of their range from having a huge page.
Test(page_heap, ranges_that_hold_little_do_not_move)
{
    scatter(true);
    for (size_t i = 0; i < zone_table_end(); i++) {
        struct zone *zone = zone_known((zone_id){(uint32_t)i});
        for (uint32_t ranges = zone_dirty_ranges(zone); ranges != 0; ranges &= ranges - 1)
            os_purge(page_address(range_page(zone, ranges)), (HUGE_PAGES - 1) * PAGE_SIZE);
    }
    size_t n = 8 * HUGE_PAGES;
    struct page_block block = page_heap_take_filled(n, PAGE_SIZE);
    cr_assert_eq(resident_in(block, n), 0u);
    check();
}

// --- Blocks whose second page begins a range.

Test(page_heap, the_second_page_can_begin_a_range)
{
    static const size_t sizes[] = {3,
                                   HUGE_PAGES,
                                   300,
                                   ZONE_PAGES - HUGE_PAGES + 1,
                                   ZONE_PAGES - HUGE_PAGES + 2,
                                   ZONE_PAGES,
                                   ZONE_PAGES + 1,
                                   3 * ZONE_PAGES + 5};
    enum { SIZES = sizeof sizes / sizeof sizes[0] };
    page_id first[SIZES];
    size_t pages = 0;
    for (size_t i = 0; i < SIZES; i++) {
        struct page_block block = page_heap_take_second(sizes[i], HUGE_PAGES, false);
        first[i] = block.first;
        pages += sizes[i];
        cr_assert_eq((first[i].n + 1) % HUGE_PAGES, 0u);
        cr_assert(block.clean && reads_as_zeros(first[i], sizes[i]));
        cr_assert_eq(page_heap_counts().used_pages, pages);
        check();
    }
    for (size_t i = 0; i < SIZES; i++)
        page_heap_give(first[i], sizes[i]);
    cr_assert_eq(page_heap_counts().used_pages, 0u);
    check();
}

// None of them has a place, and more of them than are looked at.
Test(page_heap, a_whole_zone_is_found_behind_many_that_do_not_fit)
{
    page_id first[2 * SECOND_TRIES];
    for (int i = 0; i < 2 * SECOND_TRIES; i++)
        first[i] = take(ZONE_PAGES, PAGE_SIZE);
    for (int i = 0; i < 2 * SECOND_TRIES; i++)
        page_heap_give((page_id){first[i].n + 1}, ZONE_PAGES / 2 - 1);
    page_id page = page_heap_take_second(ZONE_PAGES / 2, HUGE_PAGES, false).first;
    cr_assert_neq(page.n, NO_PAGE.n);
    cr_assert(huge_begins(page_behind(page, 1)));
    check();
}

Test(page_heap, ranges_with_guards_keep_small_pages)
{
    skip_other_kernels();
    store_relaxed(&options.thp, "always");
    huge_init((void *)sealed.map.base, sealed.map.pages * PAGE_SIZE);
    struct page_block block = page_heap_take_second(3 * HUGE_PAGES + 9, HUGE_PAGES, false);
    struct zone *zone = zone_of_page(block.first);
    uint32_t inner = zone_ranges(page_in_zone((page_id){block.first.n + 1}), 3 * HUGE_PAGES);
    cr_assert_eq(load_relaxed(&zone->huge), inner);
    cr_assert_eq(load_relaxed(&zone->fresh), 0u);
    cr_assert_eq(page_heap_counts().dirty_pages, 0u);
    check();
}

// --- What stays as it is.

Test(page_heap, who_needs_zeros_gets_none_of_it)
{
    scatter(true);
    struct page_block block = page_heap_take(8 * HUGE_PAGES, PAGE_SIZE);
    cr_assert(block.clean);
    cr_assert_eq(resident_in(block, 8 * HUGE_PAGES), 0u);
}

Test(page_heap, blocks_of_programs_that_do_not_fill_them_stay_as_they_are)
{
    scatter(false);
    struct page_block block = page_heap_take_filled(8 * HUGE_PAGES, PAGE_SIZE);
    cr_assert(block.clean);
    cr_assert_eq(resident_in(block, 8 * HUGE_PAGES), 0u);
}

Test(page_heap, one_block_in_some_stays_as_it_is)
{
    scatter(true);
    store_relaxed(&heap.fills, 5 * UNFILLED_SHARE);
    cr_assert(page_heap_take_filled(4 * HUGE_PAGES, PAGE_SIZE).clean);
    for (int i = 1; i < UNFILLED_SHARE; i++)
        cr_assert(is_to_be_filled((page_id){0}, HUGE_PAGES));
    cr_assert_not(is_to_be_filled((page_id){0}, HUGE_PAGES));
}

// As if it had been given back when all else there was clean.
static void make_dirty(struct zone *zone, size_t first, size_t n)
{
    bits_set_range(zone->dirty, first, n);
    zone->dirty_pages += (uint32_t)n;
    add_dirty(&heap.stripes[load_relaxed(&zone->stripe)], n);
    limit_charge(n * PAGE_SIZE);
}

Test(page_heap, a_block_that_holds_some_memory_gets_the_rest)
{
    page_id whole = take(ZONE_PAGES, PAGE_SIZE);
    struct zone *zone = zone_of_page(whole);
    unsigned char *third = page_address((page_id){whole.n + 2 * (uint32_t)HUGE_PAGES});
    scatter(true);
    page_heap_give(whole, ZONE_PAGES);
    for (size_t from = 0; from < ZONE_PAGES; from += PHASE_PAGES)
        purge_zone(&heap.stripes[load_relaxed(&zone->stripe)], zone, from, PURGE_ALL);
    memset(third, 9, PAGE_SIZE);
    make_dirty(zone, 2 * HUGE_PAGES, HUGE_PAGES);
    check();
    struct page_block block = page_heap_take_filled(ZONE_PAGES, PAGE_SIZE);
    cr_assert(block.first.n == whole.n && !block.clean);
    cr_assert_eq(third[0], 9);
    cr_assert_eq(third[PAGE_SIZE], 0);
    cr_assert_geq(resident_in(block, 2 * HUGE_PAGES), 2 * HUGE_PAGES);
    check();
}

Test(page_heap, refusals_leave_fresh_blocks_whole)
{
    for (uint32_t nth = 1; nth < 14; nth++) {
        scatter(true);
        os_fail_nth(nth);
        struct page_block block = page_heap_take_filled(8 * HUGE_PAGES, PAGE_SIZE);
        os_fail_nth(0);
        if (block.first.n == NO_PAGE.n)
            continue;
        cr_assert(page_heap_validate());
        page_heap_give(block.first, 8 * HUGE_PAGES);
        page_heap_purge();
        cr_assert(page_heap_validate());
    }
}
