// SPDX-License-Identifier: MIT
#include "core/page_map.h"

#include "core/bits.h"
#include "core/os.h"
#include "core/tsan.h"
#include <criterion/criterion.h>
#include <sys/resource.h>

#define GIB ((size_t)1 << 30)
#define TIB ((size_t)1 << 40)

static int here; // lies in no window

static void start(size_t wanted)
{
    cr_assert(page_map_init(wanted));
    cr_assert_not_null(sealed.map.entries);
    cr_assert_eq(sealed.map.base % ZONE_SIZE, 0);
    cr_assert_eq(sealed.map.pages % ZONE_PAGES, 0);
    cr_assert_geq(page_map_zones(), 2);
}

Test(page_map, the_window_is_reserved_whole)
{
    start(64 * GIB);
    cr_assert(page_map_is_reserved());
    cr_assert_eq(sealed.map.pages * PAGE_SIZE, 64 * GIB);
    for (size_t at = 0; at < 64 * GIB; at += GIB)
        cr_assert_not(os_reserve_at((char *)sealed.map.base + at, PAGE_SIZE));
    cr_assert(os_commit(zone_address((zone_id){(uint32_t)page_map_zones() - 1}), ZONE_SIZE));
}

Test(page_map, a_size_is_rounded_up_to_zones)
{
    start(8 * GIB + 1);
    cr_assert_eq(sealed.map.pages * PAGE_SIZE, 8 * GIB + ZONE_SIZE);
}

Test(page_map, pages_and_addresses_are_inverse)
{
    start(8 * GIB);
    char *base = (char *)sealed.map.base;
    for (size_t n = 0; n < sealed.map.pages; n += 4099) {
        page_id page = {(uint32_t)n};
        cr_assert_eq(page_address(page), base + n * PAGE_SIZE);
        cr_assert_eq(page_of(page_address(page)).n, n);
        cr_assert_eq(page_of((char *)page_address(page) + PAGE_SIZE - 1).n, n);
    }
    cr_assert_eq(zone_address((zone_id){3}), base + 3 * ZONE_SIZE);
    cr_assert_eq(page_zone(page_of(base + 3 * ZONE_SIZE - 1)).n, 2);
}

Test(page_map, what_lies_outside_is_no_page)
{
    start(8 * GIB);
    char *base = (char *)sealed.map.base;
    const void *outside[] = {NULL, base - 1, base + 8 * GIB, &here, outside, (void *)UINTPTR_MAX, (void *)1};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        cr_assert_eq(page_of(outside[i]).n, NO_PAGE.n, "%zu", i);
        cr_assert_eq(page_entry(page_of(outside[i])), 0);
    }
    cr_assert_eq(page_of(base + 8 * GIB - 1).n, 8 * GIB / PAGE_SIZE - 1);
}

Test(page_map, nothing_is_known_before_the_start)
{
    cr_assert_eq(page_of(&here).n, NO_PAGE.n);
    cr_assert_eq(page_entry(page_of(&here)), 0);
}

Test(page_map, entries_of_an_opened_zone)
{
    start(8 * GIB);
    for (uint32_t zone = 0; zone < page_map_zones(); zone += 17) {
        page_id first = zone_first_page((zone_id){zone});
        cr_assert(page_map_open_zone((zone_id){zone}));
        for (uint32_t i = 0; i < ZONE_PAGES; i++)
            cr_assert_eq(page_entry((page_id){first.n + i}), 0);
        page_map_set(first, ZONE_PAGES, PAGE_LARGE);
        page_map_set((page_id){first.n + 5}, 3, 9u << PAGE_HOME_SHIFT | 40u << PAGE_CLASS_SHIFT);
        for (uint32_t i = 0; i < ZONE_PAGES; i++)
            cr_assert_eq(page_entry((page_id){first.n + i}) == PAGE_LARGE, i < 5 || i >= 8);
    }
}

Test(page_map, an_entry_tells_home_and_class)
{
    for (uint32_t cls = 1; cls < 64; cls++)
        for (uint32_t home = 1; home < 1u << 24; home = home * 3 + 1) {
            uint32_t entry = home << PAGE_HOME_SHIFT | cls << PAGE_CLASS_SHIFT;
            cr_assert(entry_is_small(entry));
            cr_assert_eq(entry_class(entry), cls);
            cr_assert_eq(entry >> PAGE_HOME_SHIFT, home);
        }
    cr_assert_not(entry_is_small(0));
    cr_assert_not(entry_is_small(PAGE_LARGE));
}

Test(page_map, less_is_taken_where_the_kernel_refuses)
{
    os_fail_nth(1); // the window itself
    start(64 * GIB);
    cr_assert(page_map_is_reserved());
    cr_assert_eq(sealed.map.pages * PAGE_SIZE, 32 * GIB);
}

Test(page_map, less_is_taken_where_there_is_no_room_for_entries)
{
    os_fail_nth(2);
    start(64 * GIB);
    cr_assert(page_map_is_reserved());
    cr_assert_eq(sealed.map.pages * PAGE_SIZE, 32 * GIB);
    cr_assert(page_map_open_zone((zone_id){0}));
}

Test(page_map, where_too_little_can_be_reserved_the_window_is_an_interval)
{
    os_fail_nth(2); // half of this is not worth having
    start(4 * GIB);
    cr_assert_not(page_map_is_reserved());
    cr_assert_eq(page_entry((page_id){(uint32_t)sealed.map.pages - 1}), 0);
}

Test(page_map, an_interval_surrounds_the_place_of_the_next_mappings)
{
    start(2 * GIB);
    for (int i = 0; i < 8; i++)
        cr_assert_neq(page_of(os_map(ZONE_SIZE)).n, NO_PAGE.n);
}

Test(page_map, more_than_the_kernel_has_is_halved_until_it_fits)
{
    start(1024 * TIB);
    cr_assert(page_map_is_reserved());
    cr_assert_geq(sealed.map.pages * PAGE_SIZE, 4 * GIB);
    cr_assert_lt(sealed.map.pages * PAGE_SIZE, 1024 * TIB);
}

Test(page_map, a_small_window_is_only_an_interval)
{
    start(2 * GIB);
    cr_assert_not(page_map_is_reserved());
    cr_assert_eq(sealed.map.pages * PAGE_SIZE, 2 * GIB);
    cr_assert_eq(page_entry((page_id){0}), 0);
    cr_assert_eq(page_entry((page_id){(uint32_t)sealed.map.pages - 1}), 0);
    zone_id zone = {0};
    while (!os_reserve_at(zone_address(zone), ZONE_SIZE)) // other mappings lie in the window
        zone.n++;
    cr_assert_lt(zone.n, page_map_zones());
    cr_assert(page_map_open_zone(zone));
    page_map_set(zone_first_page(zone), ZONE_PAGES, PAGE_LARGE);
    cr_assert_eq(page_entry(page_of(zone_address(zone))), PAGE_LARGE);
    cr_assert_eq(page_entry(page_of((char *)zone_address(zone) + ZONE_SIZE)), 0);
}

Test(page_map, a_refused_start_can_be_tried_again)
{
    for (uint32_t nth = 1; nth <= 2; nth++) {
        os_fail_nth(nth);
        cr_assert_not(page_map_init(64 << 20));
        cr_assert_null(sealed.map.entries);
    }
    start(64 << 20);
    uintptr_t base = sealed.map.base;
    start(8 * GIB); // the first success stays
    cr_assert_eq(sealed.map.base, base);
}

Test(page_map, an_opening_may_be_refused)
{
    start(8 * GIB);
    os_fail_nth(1);
    cr_assert_not(page_map_open_zone((zone_id){4}));
    cr_assert(page_map_open_zone((zone_id){4}));
}

static void start_under_limit(size_t bytes)
{
#if TARN_TSAN || defined(__SANITIZE_ADDRESS__)
    cr_skip_test("a sanitizer needs more address space than that");
#endif
    struct rlimit limit = {bytes, bytes};
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
    start(TIB);
    cr_assert_not(page_map_is_reserved());
    cr_assert_geq(sealed.map.pages * PAGE_SIZE, 2 * bytes);
}

Test(page_map, under_an_address_space_limit_nothing_is_reserved_ahead) { start_under_limit(64 * GIB); }

Test(page_map, under_an_address_space_limit_most_of_it_is_of_use)
{
    size_t zones = 0;
    start_under_limit(GIB);
    for (uint32_t n = 0; n < page_map_zones(); n++)
        zones += os_reserve_at(zone_address((zone_id){n}), ZONE_SIZE);
    cr_assert_geq(zones, GIB / ZONE_SIZE * 3 / 4);
}
