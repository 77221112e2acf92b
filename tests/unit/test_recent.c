// SPDX-License-Identifier: MIT
#include "buddy/recent.h"

#include <criterion/criterion.h>
#include <pthread.h>

static void empty(void)
{
    for (size_t from = 0; recent_next(&from).n != 0;)
        continue;
}

TestSuite(recent, .init = empty);

static page_id page(uint32_t n) { return (page_id){n}; }

static struct page_run give_to(struct recent_set *set, page_id first, size_t n)
{
    recent_count(set);
    return recent_keep(set, first, n) ? (struct page_run){NO_PAGE, 0} : recent_displace(set, first, n);
}

static struct page_run give(uint32_t first, size_t n)
{
    return give_to(&recent_sets[recent_near(n)], page(first), n);
}
static uint32_t take(size_t n) { return recent_take(n).first.n; }

Test(recent, a_block_comes_back_once_and_only_for_about_its_size)
{
    cr_assert_eq(give(100, 9).n, 0);
    cr_assert_eq(take(7), NO_PAGE.n);
    cr_assert_eq(take(10), NO_PAGE.n);
    cr_assert_eq(recent_pages(), 9);
    cr_assert_eq(take(9), 100);
    cr_assert_eq(take(9), NO_PAGE.n);
    cr_assert_eq(recent_pages(), 0);
}

Test(recent, a_block_serves_what_is_an_eighth_smaller)
{
    give(100, 9);
    cr_assert_eq(take(8), 100);
    give(100, 36);
    cr_assert_eq(take(31), NO_PAGE.n);
    struct page_run run = recent_take(32);
    cr_assert_eq(run.first.n, 100);
    cr_assert_eq(run.n, 36);
}

Test(recent, the_first_page_of_all_is_a_page)
{
    give(0, 1);
    cr_assert_eq(take(1), 0);
}

Test(recent, blocks_beyond_a_set_make_room_one_for_one)
{
    uint64_t pages = 0;
    for (uint32_t i = 1; i <= 100; i++) {
        size_t n = 16 + i % 2; // of one set
        struct page_run displaced = give(i * 1000, n);
        pages += n - displaced.n;
        cr_assert_eq(displaced.n != 0, i > RECENT_BLOCKS);
        if (displaced.n != 0)
            cr_assert_eq(displaced.n, 16 + displaced.first.n / 1000 % 2);
        cr_assert_eq(recent_pages(), pages);
    }
    bool came_last_stays = false;
    for (int i = 0; i < RECENT_BLOCKS; i++)
        came_last_stays |= take(16) == 100000;
    cr_assert(came_last_stays);
}

Test(recent, a_walk_takes_all_out)
{
    size_t from = 0, sum = 0;
    for (uint32_t i = 1; i <= RECENT_BLOCKS; i++)
        give(i, i);
    for (struct page_run run; (run = recent_next(&from)).n != 0;) {
        cr_assert_eq(run.first.n, run.n);
        sum += run.n;
    }
    cr_assert_eq(sum, RECENT_BLOCKS * (RECENT_BLOCKS + 1) / 2);
    cr_assert_eq(recent_pages(), 0);
}

Test(recent, sizes_near_each_other_share_a_set_and_others_do_not)
{
    for (size_t n = 1; n < 100000; n++) {
        cr_assert_lt(recent_index(n), (unsigned)RECENT_SIZES);
        size_t guarded = recent_guarded_size(n), next = recent_guarded_size(n + 1);
        cr_assert_eq(recent_index(guarded) == recent_index(next), guarded == next);
        cr_assert_geq(guarded, n);
        cr_assert_leq(guarded, n + n / 8);
        cr_assert_eq(recent_guarded_size(guarded), guarded);
    }
}

Test(recent, rows_grow_with_the_processors_and_hold_every_thread)
{
    for (unsigned processors = 1; processors < 1000; processors++) {
        recent_init(processors);
        cr_assert_eq(recent_row_mask % RECENT_SIZES, 0u);
        cr_assert_lt(recent_row_mask, (uintptr_t)RECENT_SIZES * RECENT_ROWS_MAX);
        cr_assert_leq(recent_row_mask / RECENT_SIZES, processors / 2);
        give(100, processors);
        cr_assert_eq(recent_pages(), processors);
        cr_assert_eq(take(processors), 100u);
    }
    recent_sets[recent_row_mask + RECENT_SIZES - 1].blocks[0] = recent_word(page(7), 1);
    size_t from = 0;
    cr_assert_eq(recent_next(&from).first.n, 7u, "the walk sees the last set too");
}

// Threads pass blocks through one set and write to what they own: two owners of one block would be seen, by
// the sanitizer too.
enum { THREADS = 4, BLOCKS = 12, ROUNDS = 40000 };

static uint32_t owners[BLOCKS]; // plain: guarded by the set
static atomic_u32 starting;

static void own(uint32_t block)
{
    cr_assert_eq(owners[block], 0, "block %u has two owners", block);
    owners[block] = 1;
}

static void *pass_blocks(void *set)
{
    fetch_add_relaxed(&starting, 1);
    while (load_relaxed(&starting) != THREADS)
        continue;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        page_id block = recent_take_word(set, 1 + i % 3, 0).first;
        if (block.n == NO_PAGE.n)
            continue;
        own(block.n);
        owners[block.n] = 0;
        struct page_run displaced = give_to(set, block, 1 + block.n % 3);
        while (displaced.n != 0) {
            own(displaced.first.n);
            owners[displaced.first.n] = 0;
            displaced = give_to(set, displaced.first, displaced.n);
        }
    }
    return NULL;
}

Test(recent, a_block_has_one_owner, .timeout = 60)
{
    pthread_t threads[THREADS];
    struct recent_set *set = &recent_sets[0];
    for (uint32_t i = 0; i < RECENT_BLOCKS; i++)
        give_to(set, page(i), 1 + i % 3);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, pass_blocks, set), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(recent_pages(), 1 + 2 + 3 + 1 + 2 + 3 + 1);
}
