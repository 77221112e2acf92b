// SPDX-License-Identifier: MIT
// Includes the source to see how many zones it has parted.
#include "buddy/move.c"

#include "../support/mappings.h"
#include "buddy/page_heap.h"
#include "core/init.h"
#include "core/options.h"
#include <criterion/criterion.h>
#include <string.h>

static void setup(void)
{
    cr_assert(heap_start());
    if (!move_is_possible())
        cr_skip("the kernel moves nothing");
}

TestSuite(move, .init = setup);

// Begins a range.
static page_id block(size_t n)
{
    page_id first = page_heap_take(n, HUGE_PAGES * PAGE_SIZE).first;
    cr_assert_neq(first.n, NO_PAGE.n);
    return first;
}

// Each page has a word of its own.
static void fill_pages(page_id first, size_t n)
{
    for (size_t i = 0; i < n; i++)
        memset(page_address(page_behind(first, i)), (int)(i % 251 + 1), PAGE_SIZE);
}

static void expect_filled(page_id first, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned char *p = page_address(page_behind(first, i));
        cr_assert(p[0] == i % 251 + 1 && p[PAGE_SIZE - 1] == i % 251 + 1, "page %zu", i);
    }
}

static size_t resident(page_id first, size_t n)
{
    return os_resident_pages(page_address(first), n * PAGE_SIZE);
}

Test(move, whole_ranges_move_and_the_rest_is_copied)
{
    size_t n = 2 * HUGE_PAGES + 5;
    page_id from = block(n), to = block(n);
    fill_pages(from, n);
    cr_assert_eq(move_memory(from, to, n), 2 * HUGE_PAGES);
    expect_filled(to, n);
    cr_assert_eq(resident(from, 2 * HUGE_PAGES), 0u);
    cr_assert_neq(resident(page_behind(from, 2 * HUGE_PAGES), 5), 0u);
}

Test(move, what_does_not_begin_a_range_is_copied)
{
    size_t n = 2 * HUGE_PAGES;
    page_id from = block(n + 1), to = block(n + 1);
    fill_pages(page_behind(from, 1), n);
    cr_assert_eq(move_memory(page_behind(from, 1), to, n), 0u);
    expect_filled(to, n);
    expect_filled(page_behind(from, 1), n);
}

Test(move, nothing_is_lost_where_the_kernel_refuses)
{
    size_t n = 4 * HUGE_PAGES;
    page_id from = block(n), to = block(n);
    for (uint32_t nth = 1; nth <= 5; nth++) {
        fill_pages(from, n);
        os_fail_nth(nth);
        cr_assert_eq(move_memory(from, to, n), (nth - 1) * HUGE_PAGES);
        os_fail_nth(0);
        expect_filled(to, n);
    }
}

static size_t mappings_in(const struct zone *zone) { return mappings_of(zone_address(zone->id), ZONE_SIZE); }

// Each of the sixteen ranges comes from another place.
Test(move, a_zone_is_parted_at_its_ranges_until_it_is_free_and_purged)
{
    page_id from = block(ZONE_PAGES), to = block(ZONE_PAGES);
    struct zone *zone = zone_of_page(to);
    for (size_t i = 0; i < HUGE_RANGES; i++) {
        fill_pages(page_behind(from, i * HUGE_PAGES), HUGE_PAGES);
        move_memory(page_behind(from, i * HUGE_PAGES), page_behind(to, (HUGE_RANGES - 1 - i) * HUGE_PAGES),
                    HUGE_PAGES);
    }
    cr_assert_eq(load_relaxed(&parted_zones), 1u);
    size_t parted = mappings_in(zone);
    cr_assert(parted > 1 && parted <= HUGE_RANGES);
    page_heap_give(from, ZONE_PAGES);
    page_heap_give(to, ZONE_PAGES);
    page_heap_purge();
    cr_assert_eq(load_relaxed(&parted_zones), 0u);
    cr_assert_eq(mappings_in(zone), 1u);
    cr_assert(page_heap_validate());
}

Test(move, where_a_zone_cannot_be_made_anew_its_memory_goes_all_the_same)
{
    page_id from = block(ZONE_PAGES), to = block(ZONE_PAGES);
    fill_pages(from, ZONE_PAGES);
    cr_assert_eq(move_memory(from, to, ZONE_PAGES), ZONE_PAGES);
    struct zone *zone = zone_of_page(to);
    os_fail_nth(1);
    cr_assert(move_purge_zone(zone));
    cr_assert_eq(resident(to, ZONE_PAGES), 0u);
    cr_assert_eq(load_relaxed(&zone->parted), 1u);
    os_fail_run(1, 2);
    cr_assert_not(move_purge_zone(zone));
    os_fail_nth(0);
    cr_assert(move_purge_zone(zone));
    cr_assert_eq(load_relaxed(&zone->parted), 0u);
}

Test(move, the_kernels_mappings_are_not_used_up)
{
    store_relaxed(&parted_zones, MOVE_ZONES_MOST - 1);
    cr_assert(move_is_possible());
    page_id from = block(HUGE_PAGES), to = block(HUGE_PAGES);
    move_memory(from, to, HUGE_PAGES);
    cr_assert_not(move_is_possible());
    move_forget(zone_of_page(to));
    cr_assert(move_is_possible());
}
