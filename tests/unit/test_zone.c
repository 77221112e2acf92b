// SPDX-License-Identifier: MIT
#include "buddy/zone.h"

#include "seeded.h"
#include <criterion/criterion.h>
#include <string.h>

static struct zone zone;
static bool used[ZONE_PAGES], dirty[ZONE_PAGES], aged[ZONE_PAGES]; // the model

static void init(void) { zone_init(&zone, (zone_id){7}); }

TestSuite(zone, .init = init);

static void check(void)
{
    size_t used_pages = 0, dirty_pages = 0;
    cr_assert(zone_validate(&zone));
    for (size_t i = 0; i < ZONE_PAGES; i++) {
        if (bits_test(zone.used, i) != used[i] || bits_test(zone.dirty, i) != dirty[i] ||
            bits_test(zone.aged, i) != aged[i])
            cr_assert_fail("page %zu", i);
        used_pages += used[i];
        dirty_pages += dirty[i];
    }
    cr_assert_eq(zone.used_pages, used_pages);
    cr_assert_eq(zone.dirty_pages, dirty_pages);
}

static bool any(const bool *pages, size_t first, size_t n) { return memchr(pages + first, true, n) != NULL; }

static void note_taken(size_t first, size_t n, bool clean)
{
    cr_assert_not(any(used, first, n));
    cr_assert_eq(clean, !any(dirty, first, n));
    memset(used + first, true, n);
    memset(dirty + first, false, n);
    memset(aged + first, false, n);
}

static size_t take(size_t n, size_t align)
{
    bool clean;
    size_t first = zone_take(&zone, n, align, &clean);
    if (first != BUDDY_NONE) {
        cr_assert_eq(first % align, 0);
        note_taken(first, n, clean);
    }
    return first;
}

static bool take_at(size_t first, size_t n)
{
    bool clean;
    bool taken = zone_take_at(&zone, first, n, &clean);
    cr_assert_eq(taken, !any(used, first, n));
    if (taken)
        note_taken(first, n, clean);
    return taken;
}

static void give(size_t first, size_t n, bool is_dirty)
{
    zone_give(&zone, first, n, is_dirty);
    memset(used + first, false, n);
    memset(dirty + first, is_dirty, n);
}

static void age(void)
{
    zone_age(&zone, 0, ZONE_PAGES);
    memcpy(aged, dirty, sizeof aged);
}

Test(zone, starts_free_clean_and_alone)
{
    check();
    cr_assert_eq(zone.id.n, 7);
    cr_assert_eq(zone.bucket, UNLISTED);
    cr_assert_eq(load_relaxed(&zone.stripe), NO_STRIPE);
    cr_assert_eq(buddy_free_pages(&zone.buddy), ZONE_PAGES);
}

Test(zone, fresh_pages_are_clean_and_used_ones_come_back_dirty)
{
    bool clean;
    cr_assert_eq(zone_take(&zone, 10, 1, &clean), 0);
    cr_assert(clean);
    zone_give(&zone, 0, 10, true);
    cr_assert_eq(zone.dirty_pages, 10);
    cr_assert_eq(zone_take(&zone, 16, 1, &clean), 0);
    cr_assert_not(clean, "one dirty page makes a block dirty");
    zone_give(&zone, 0, 16, false);
    cr_assert_eq(zone_take(&zone, 16, 1, &clean), 0);
    cr_assert(clean);
}

Test(zone, take_at_takes_all_or_nothing)
{
    cr_assert(take_at(100, 50));
    check();
    cr_assert_not(take_at(149, 1));
    cr_assert_not(take_at(90, 11));
    cr_assert_not(take_at(149, 100));
    check();
    cr_assert(take_at(90, 10));
    cr_assert(take_at(150, ZONE_PAGES - 150));
    check();
}

Test(zone, what_is_no_power_of_two_lies_against_what_is_used)
{
    for (size_t i = 0; i < ZONE_PAGES / 5 - 1; i++)
        cr_assert_eq(take(5, 1), 5 * i);
    give(5, 5, false);
    give(15, 5, false);
    cr_assert_eq(take(5, 1), 15, "a hole with a block of four, and none of eight");
    cr_assert_eq(take(2, 1), 6, "a power of two keeps to its bounds");
}

Test(zone, what_is_large_leaves_room_behind_it)
{
    cr_assert_eq(take(33, 1), 0);
    cr_assert_eq(take(33, 1), 64);
}

Test(zone, whether_the_next_pages_hold_memory)
{
    cr_assert_not(zone_next_is_dirty(&zone, 5, 1));
    cr_assert_eq(take(ZONE_PAGES - 16, 1), 0);
    cr_assert_not(zone_next_is_dirty(&zone, 17, 1), "there are none");
    give(0, 1, true);
    cr_assert(zone_next_is_dirty(&zone, 1, 1));
    cr_assert_not(zone_next_is_dirty(&zone, 2, 1));
}

Test(zone, a_hole_that_is_too_small_stays)
{
    cr_assert_eq(take(8, 1), 0);
    cr_assert(take_at(12, 4));
    cr_assert_eq(take(5, 1), 16);
    cr_assert_eq(take(3, 1), 21, "the block of two there has a neighbour");
    cr_assert_eq(take(3, 1), 8);
}

Test(zone, a_full_zone_has_nothing)
{
    cr_assert_eq(take(ZONE_PAGES, 1), 0);
    cr_assert_eq(take(1, 1), BUDDY_NONE);
    cr_assert_not(take_at(5, 1));
    check();
}

static bool model_purgeable(size_t from, bool all, size_t *first, size_t *n)
{
    const bool *wanted = all ? dirty : aged;
    for (size_t hit = from; hit < ZONE_PAGES; hit++) {
        if (!wanted[hit])
            continue;
        size_t end = hit;
        while (hit > from && dirty[hit - 1])
            hit--;
        while (end < ZONE_PAGES && dirty[end])
            end++;
        *first = hit;
        *n = end - hit;
        return true;
    }
    return false;
}

static void check_purgeable(bool all)
{
    size_t from = 0, first, n, model_first, model_n;
    while (model_purgeable(from, all, &model_first, &model_n)) {
        cr_assert(zone_find_purgeable(&zone, from, ZONE_PAGES, 1, all ? PURGE_ALL : PURGE_AGED, &first, &n));
        cr_assert_eq(first, model_first);
        cr_assert_eq(n, model_n);
        from = first + n;
    }
    cr_assert_not(zone_find_purgeable(&zone, from, ZONE_PAGES, 1, all ? PURGE_ALL : PURGE_AGED, &first, &n));
}

static void expect_purgeable(size_t from, size_t unit, bool all, size_t first, size_t n)
{
    size_t found, length;
    cr_assert(
        zone_find_purgeable(&zone, from, ZONE_PAGES, unit, all ? PURGE_ALL : PURGE_AGED, &found, &length));
    cr_assert_eq(found, first);
    cr_assert_eq(length, n);
}

Test(zone, purgeable_runs_reach_over_younger_dirty_neighbours)
{
    size_t first, n;
    take_at(0, ZONE_PAGES);
    give(100, 10, true);
    cr_assert_not(zone_find_purgeable(&zone, 0, ZONE_PAGES, 1, PURGE_AGED, &first, &n),
                  "nothing is aged yet");
    expect_purgeable(0, 1, true, 100, 10);
    age();
    give(95, 5, true);
    give(110, 7, true);
    expect_purgeable(0, 1, false, 95, 22);
    expect_purgeable(98, 1, false, 98, 19);
    cr_assert_not(zone_find_purgeable(&zone, 112, ZONE_PAGES, 1, PURGE_AGED, &first, &n));
    expect_purgeable(112, 1, true, 112, 5);
    give(ZONE_PAGES - 3, 3, true);
    expect_purgeable(117, 1, true, ZONE_PAGES - 3, 3);
    check();
}

Test(zone, purgeable_runs_keep_to_the_kernels_pages)
{
    size_t first, n;
    take_at(0, ZONE_PAGES);
    give(101, 10, true); // 101..110 holds 104..107
    expect_purgeable(0, 4, true, 104, 4);
    give(201, 6, true); // 201..206 holds no whole four
    give(302, 2, true);
    give(403, 9, true);
    expect_purgeable(108, 4, true, 404, 8);
    cr_assert_not(zone_find_purgeable(&zone, 412, ZONE_PAGES, 4, PURGE_ALL, &first, &n));
}

Test(zone, purgeable_runs_take_the_clean_rest_of_the_kernels_pages_along)
{
    size_t first, n;
    take_at(0, ZONE_PAGES);
    give(500, 12, false);
    take_at(506, 1);
    give(506, 1, true);
    expect_purgeable(0, 1, true, 506, 1);
    expect_purgeable(0, 4, true, 504, 4);
    expect_purgeable(505, 4, true, 504, 4);
    take_at(504, 1);
    cr_assert_not(zone_find_purgeable(&zone, 0, ZONE_PAGES, 4, PURGE_ALL, &first, &n));
    give(504, 1, false);
    take_at(507, 1);
    cr_assert_not(zone_find_purgeable(&zone, 0, ZONE_PAGES, 4, PURGE_ALL, &first, &n));
    give(507, 1, false);
    give(ZONE_PAGES - 2, 2, true);
    give(ZONE_PAGES - 4, 2, false);
    expect_purgeable(508, 4, true, ZONE_PAGES - 4, 4);
}

Test(zone, huge_pages_that_are_partly_in_use_can_be_spared)
{
    size_t first, n;
    take_at(0, ZONE_PAGES);
    store_relaxed(&zone.huge, 6); // the second range and the third
    give(HUGE_PAGES + 5, 20, true);
    give(2 * HUGE_PAGES, HUGE_PAGES, true);
    give(5 * HUGE_PAGES, 3, true);
    cr_assert(zone_find_purgeable(&zone, 0, ZONE_PAGES, 1, PURGE_UNBROKEN, &first, &n));
    cr_assert(first == 2 * HUGE_PAGES && n == HUGE_PAGES, "a whole one");
    cr_assert(zone_find_purgeable(&zone, first + n, ZONE_PAGES, 1, PURGE_UNBROKEN, &first, &n));
    cr_assert(first == 5 * HUGE_PAGES && n == 3);
    expect_purgeable(0, 1, true, HUGE_PAGES + 5, 20);
}

Test(zone, huge_pages_are_spared_by_what_takes_aged_pages_too)
{
    size_t first, n;
    take_at(0, ZONE_PAGES);
    store_relaxed(&zone.huge, 6);
    give(HUGE_PAGES + 5, 20, true);
    give(5 * HUGE_PAGES, 3, true);
    cr_assert_not(zone_find_purgeable(&zone, 0, ZONE_PAGES, 1, PURGE_AGED_UNBROKEN, &first, &n));
    age();
    cr_assert(zone_find_purgeable(&zone, 0, ZONE_PAGES, 1, PURGE_AGED_UNBROKEN, &first, &n));
    cr_assert(first == 5 * HUGE_PAGES && n == 3);
    expect_purgeable(0, 1, false, HUGE_PAGES + 5, 20);
}

Test(zone, huge_pages_at_the_ends_of_a_run_can_be_spared)
{
    size_t first, n;
    take_at(0, ZONE_PAGES);
    store_relaxed(&zone.huge, 15);
    give(HUGE_PAGES - 7, 7 + HUGE_PAGES + 9, true);
    cr_assert(zone_find_purgeable(&zone, 0, ZONE_PAGES, 1, PURGE_UNBROKEN, &first, &n));
    cr_assert(first == HUGE_PAGES && n == HUGE_PAGES, "%zu %zu", first, n);
    cr_assert_not(zone_find_purgeable(&zone, first + n, ZONE_PAGES, 1, PURGE_UNBROKEN, &first, &n));
}

Test(zone, taken_pages_are_no_longer_aged)
{
    take_at(0, ZONE_PAGES);
    give(100, 10, true);
    age();
    cr_assert(take_at(104, 2));
    give(104, 2, true);
    check();
    expect_purgeable(0, 1, false, 100, 10);
    cr_assert_not(bits_test(zone.aged, 104));
}

static void random_step(uint64_t *state)
{
    size_t n = 1 + seeded_next(state, (size_t)1 << seeded_next(state, BUDDY_TOP_ORDER));
    size_t first = seeded_next(state, ZONE_PAGES - n + 1);
    switch (seeded_next(state, 8)) {
    case 0:
        take(n, (size_t)1 << seeded_next(state, 8));
        break;
    case 1:
        age();
        break;
    case 2:
    case 3:
        take_at(first, n);
        break;
    default:
        while (n > 0 && memchr(used + first, false, n) != NULL)
            n--;
        if (n > 0)
            give(first, n, seeded_next(state, 4) != 0);
    }
}

Test(zone, random_steps_agree_with_the_model, .timeout = 120)
{
    uint64_t state = seeded_start("zone random");
    for (int i = 0; i < 3000; i++) {
        random_step(&state);
        check();
        check_purgeable(i % 2 == 0);
    }
}

Test(zone, repair_needs_only_the_used_bits)
{
    uint64_t state = seeded_start("zone repair");
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 50; i++)
            random_step(&state);
        memset(&zone.buddy, 0x5a, sizeof zone.buddy);
        memset(zone.dirty, (int)seeded_next(&state, 256), sizeof zone.dirty);
        memset(zone.aged, 0xff, sizeof zone.aged);
        zone.used_pages = zone.dirty_pages = 12345;
        zone_repair(&zone);
        for (size_t i = 0; i < ZONE_PAGES; i++) {
            dirty[i] = !used[i];
            aged[i] = false;
        }
        check();
    }
}

Test(zone, validate_finds_broken_states)
{
    static struct zone whole;
    take(100, 1);
    take(30, 1);
    give(10, 20, true);
    age();
    check();
    whole = zone;
#define EXPECT_BROKEN(step)                                                                                  \
    step;                                                                                                    \
    cr_assert_not(zone_validate(&zone), #step);                                                              \
    zone = whole
    EXPECT_BROKEN(zone.used_pages++);
    EXPECT_BROKEN(zone.dirty_pages--);
    EXPECT_BROKEN((bits_set_range(zone.dirty, 5, 1), zone.dirty_pages++));
    EXPECT_BROKEN(bits_set_range(zone.aged, 1000, 1));
    EXPECT_BROKEN((bits_clear_range(zone.used, 5, 1), zone.used_pages--));
    EXPECT_BROKEN((bits_set_range(zone.used, 1000, 1), zone.used_pages++));
    EXPECT_BROKEN(zone.buddy.free[0]++);
    cr_assert(zone_validate(&zone));
}

// --- Descriptors.

static const struct zone_described all_descriptors = {0, sizeof zone.descriptors};

// Purges pages as the page heap does.
static void purge(size_t first, size_t n)
{
    bool clean;
    cr_assert(zone_take_at(&zone, first, n, &clean));
    zone_give(&zone, first, n, false);
}

Test(zone, descriptors_are_taken_where_all_that_they_describe_is_free_and_clean)
{
    struct zone_described found;
    cr_assert_not(zone_take_described(&zone, all_descriptors, DESCRIBED_BYTES, &found), "none was used");
    cr_assert(take_at(0, 300));
    give(100, 200, true);
    cr_assert_not(zone_take_described(&zone, all_descriptors, DESCRIBED_BYTES, &found), "they are dirty");
    purge(100, 200);
    cr_assert(zone_take_described(&zone, all_descriptors, DESCRIBED_BYTES, &found));
    cr_assert_eq(found.from, align_up(100 * PAGE_DESCRIPTOR_BYTES, DESCRIBED_BYTES));
    cr_assert_eq(found.end, align_up(300 * PAGE_DESCRIPTOR_BYTES, DESCRIBED_BYTES));
    cr_assert(bits_find_clear(zone.used, described_first(found), described_first(found) + 1) >
              described_first(found));
    zone_give(&zone, described_first(found), described_pages(found), false);
    cr_assert_not(zone_take_described(&zone, all_descriptors, DESCRIBED_BYTES, &found), "they went before");
    cr_assert(zone_validate(&zone));
}

Test(zone, descriptors_are_taken_by_whole_units_and_within_the_range)
{
    enum { UNIT = 16 * DESCRIBED_BYTES };
    struct zone_described found, second = {UNIT, 2 * UNIT};
    cr_assert(take_at(0, ZONE_PAGES));
    give(1, ZONE_PAGES - 1, true);
    purge(1, ZONE_PAGES - 1);
    cr_assert(zone_take_described(&zone, second, UNIT, &found));
    cr_assert_eq(found.from, second.from);
    cr_assert_eq(found.end, second.end);
    zone_give(&zone, described_first(found), described_pages(found), false);
    cr_assert(zone_take_described(&zone, all_descriptors, UNIT, &found), "page 0 is in use");
    cr_assert_eq(found.from, second.end);
    cr_assert_eq(found.end, all_descriptors.end);
}

// --- Ranges of huge pages.

Test(zone, ranges_that_a_run_reaches_into)
{
    cr_assert_eq(zone_ranges(0, 1), 1u);
    cr_assert_eq(zone_ranges(HUGE_PAGES - 1, 1), 1u);
    cr_assert_eq(zone_ranges(HUGE_PAGES - 1, 2), 3u);
    cr_assert_eq(zone_ranges(HUGE_PAGES, HUGE_PAGES), 2u);
    cr_assert_eq(zone_ranges(0, ZONE_PAGES), (UINT32_C(1) << HUGE_RANGES) - 1);
    cr_assert_eq(zone_ranges(ZONE_PAGES - 1, 1), UINT32_C(1) << (HUGE_RANGES - 1));
}

Test(zone, a_range_is_fresh_for_the_first_block_in_it_alone)
{
    cr_assert(take_at(3, 2));
    cr_assert_eq(load_relaxed(&zone.fresh), 1u);
    cr_assert_eq(zone_choose_huge(&zone, 1, false), 0u);
    cr_assert(take_at(7, 1));
    cr_assert_eq(load_relaxed(&zone.fresh), 0u);
    cr_assert(take_at(HUGE_PAGES - 1, HUGE_PAGES + 2));
    cr_assert_eq(load_relaxed(&zone.fresh), 6u, "the first range had blocks, two others had none");
}

Test(zone, a_range_stays_fresh_until_somebody_chooses)
{
    cr_assert(take_at(0, 1));
    cr_assert(take_at(1, 1));
    cr_assert_eq(load_relaxed(&zone.fresh), 1u, "whoever took the first block is only on its way");
    cr_assert_eq(zone_choose_huge(&zone, 1, true), 1u);
    cr_assert_eq(zone_choose_huge(&zone, 1, true), 0u, "the other one comes too late");
    cr_assert_eq(load_relaxed(&zone.huge), 1u);
}

Test(zone, dirty_memory_is_not_fresh)
{
    cr_assert(take_at(HUGE_PAGES, 1));
    zone_choose_huge(&zone, 2, false);
    zone_give(&zone, HUGE_PAGES, 1, true);
    used[HUGE_PAGES] = false;
    dirty[HUGE_PAGES] = true;
    cr_assert(take_at(HUGE_PAGES + 5, 1));
    cr_assert_eq(load_relaxed(&zone.fresh), 0u);
}

Test(zone, the_free_pages_of_a_huge_range_are_dirty)
{
    cr_assert(take_at(HUGE_PAGES + 5, 3));
    cr_assert_eq(zone_choose_huge(&zone, ~0u, true), 2u);
    cr_assert_eq(load_relaxed(&zone.huge), 2u);
    for (size_t i = HUGE_PAGES; i < 2 * HUGE_PAGES; i++)
        dirty[i] = !used[i];
    check();
}

Test(zone, the_kernel_is_told_only_what_is_new)
{
    cr_assert(take_at(0, 1));
    cr_assert_eq(zone_choose_huge(&zone, 1, true), 1u);
    zone_give(&zone, 0, 1, false);
    memset(zone.dirty, 0, sizeof zone.dirty); // as after a purge of all of it
    zone.dirty_pages = 0;
    cr_assert(take_at(1, 1));
    cr_assert_eq(zone_choose_huge(&zone, 1, true), 0u, "it is huge already");
    cr_assert_eq(zone.dirty_pages, HUGE_PAGES - 1);
    zone_give(&zone, 1, 1, false);
    memset(zone.dirty, 0, sizeof zone.dirty);
    zone.dirty_pages = 0;
    cr_assert(take_at(2, 1));
    cr_assert_eq(zone_choose_huge(&zone, 1, false), 1u, "it was");
    cr_assert_eq(load_relaxed(&zone.huge), 0u);
}

Test(zone, a_range_that_is_purged_in_part_is_huge_no_more)
{
    cr_assert(take_at(0, 3 * HUGE_PAGES));
    cr_assert_eq(zone_choose_huge(&zone, ~0u, true), 7u);
    cr_assert_eq(zone_break_huge(&zone, HUGE_PAGES - 1, HUGE_PAGES + 1), 1u,
                 "the second one goes as a whole");
    cr_assert_eq(load_relaxed(&zone.huge), 6u);
    cr_assert_eq(zone_break_huge(&zone, 3 * HUGE_PAGES - 2, 1), 4u);
    cr_assert_eq(zone_break_huge(&zone, 3 * HUGE_PAGES - 2, 1), 0u);
}

// --- Pages of which the second begins a range.

static size_t take_second(size_t n)
{
    bool clean;
    size_t first = zone_take(&zone, n, ALIGN_SECOND, &clean);
    if (first != BUDDY_NONE)
        note_taken(first, n, clean);
    return first;
}

Test(zone, the_second_page_can_begin_a_range)
{
    cr_assert_eq(take_second(200), HUGE_PAGES - 1);
    cr_assert_eq(take_second(HUGE_PAGES), 3 * HUGE_PAGES - 1);
    cr_assert(take_at(0, HUGE_PAGES - 1), "what lies before stays free");
    size_t rest = ZONE_PAGES - (4 * HUGE_PAGES - 1);
    cr_assert_eq(take_second(rest + 1), BUDDY_NONE);
    cr_assert_eq(take_second(rest), 4 * HUGE_PAGES - 1);
    check();
}

// Free runs that begin and end anywhere.
Test(zone, no_place_is_overlooked_for_the_order_of_the_free_blocks)
{
    uint64_t random = seeded_start("zone_order");
    for (int round = 0; round < 400; round++) {
        memset(&zone, 0, sizeof zone);
        memset(used, 0, sizeof used);
        init();
        for (int i = 0; i < 8; i++)
            take_at(seeded_next(&random, ZONE_PAGES), 1);
        for (size_t n = 3; n < ZONE_PAGES; n += 1 + seeded_next(&random, 100))
            if (zone_has_place(&zone, n, ALIGN_SECOND))
                cr_assert_geq(buddy_largest(&zone.buddy), (int)zone_order(n, ALIGN_SECOND));
    }
}
