// SPDX-License-Identifier: MIT
#include "core/guard.h"

#include "../support/dies.h"
#include "buddy/page_heap.h"
#include "core/init.h"
#include "core/os.h"
#include "core/page_map.h"
#include <criterion/criterion.h>

static page_id take_some(size_t pages)
{
    cr_assert(heap_start());
    page_id first = page_heap_take(pages, 1).first;
    cr_assert_neq(first.n, NO_PAGE.n);
    memset(page_address(first), 1, pages * PAGE_SIZE);
    return first;
}

static page_id take(size_t pages)
{
    page_id first = take_some(pages);
    if (!guard_is_possible())
        cr_skip("the kernel's pages are larger than the heap's");
    return first;
}

TestSuite(guard, .timeout = 60);

Test(guard, a_guard_faults_until_it_is_lifted_and_then_reads_as_zeros)
{
    page_id first = take(2);
    char *p = page_address(first);
    cr_assert(guard_raise(first, 1));
    cr_assert_eq(guard_count(), 1u);
    cr_assert(faults(p) && faults(p + PAGE_SIZE - 1));
    cr_assert_not(faults(p + PAGE_SIZE));
    cr_assert(guard_lift(first, 1));
    cr_assert_eq(guard_count(), 0u);
    cr_assert_eq(p[0], 0);
    cr_assert_eq(p[PAGE_SIZE], 1);
}

Test(guard, ends_are_raised_both_or_none)
{
    page_id first = take(4);
    char *p = page_address(first);
    cr_assert(guard_raise_ends(first, 4));
    cr_assert(faults(p) && faults(p + 3 * PAGE_SIZE) && !faults(p + PAGE_SIZE));
    page_id whole = first;
    size_t n_whole = 4;
    guard_lift_ends(&whole, &n_whole);
    cr_assert(whole.n == first.n && n_whole == 4 && guard_count() == 0 && guard_stuck_pages() == 0);
    for (uint32_t n = 1; n <= 2; n++) {
        os_fail_nth(n);
        cr_assert_not(guard_raise_ends(first, 4));
        cr_assert_eq(guard_count(), 0u);
        memset(p, 1, 4 * PAGE_SIZE);
    }
}

Test(guard, one_that_cannot_be_lifted_shortens_its_run)
{
    for (uint32_t n = 1; n <= 2; n++) {
        page_id first = take(4), left = first;
        size_t n_left = 4;
        cr_assert(guard_raise_ends(first, 4));
        os_fail_nth(n); // the last page comes first
        guard_lift_ends(&left, &n_left);
        os_fail_nth(0);
        cr_assert_eq(n_left, 3u);
        cr_assert_eq(left.n, first.n + n - 1);
        cr_assert_eq(guard_stuck_pages(), (size_t)n);
        memset(page_address(left), 1, 3 * PAGE_SIZE);
    }
}

Test(guard, one_behind_a_run_moves_to_the_end_of_what_the_run_grows_by)
{
    size_t more = 3;
    page_id first = take(8), tail = {first.n + 3};
    char *p = page_address(first);
    cr_assert(guard_raise(tail, 1));
    cr_assert(guard_move_tail(first, 4, &more));
    cr_assert(more == 3 && guard_count() == 1 && guard_stuck_pages() == 0);
    cr_assert(faults(p + 6 * PAGE_SIZE) && !faults(p + 3 * PAGE_SIZE) && !faults(p + 7 * PAGE_SIZE));
}

Test(guard, one_that_cannot_move_stays)
{
    static const struct {
        uint32_t nth, run; // the new one is raised, the old one lifted, the new one lifted again
        size_t stuck;
    } failures[] = {{1, 1, 0}, {2, 1, 0}, {2, 2, 1}};
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        size_t more = 3;
        page_id first = take(8), tail = {first.n + 3};
        char *p = page_address(first);
        cr_assert(guard_raise(tail, 1));
        os_fail_run(failures[i].nth, failures[i].run);
        cr_assert_not(guard_move_tail(first, 4, &more));
        os_fail_nth(0);
        cr_assert_eq(more, 3 - failures[i].stuck);
        cr_assert_eq(guard_stuck_pages(), failures[i].stuck);
        cr_assert(faults(p + 3 * PAGE_SIZE) && !faults(p + 4 * PAGE_SIZE));
    }
}

Test(guard, there_are_only_so_many)
{
    page_id first = take(2);
    size_t raised = 0;
    while (raised < GUARDS_MOST + 10 && guard_raise(first, 1))
        raised++; // the same page: what is bounded is the number
    cr_assert_eq(raised, (size_t)GUARDS_MOST);
    cr_assert(guard_lift(first, 1));
    cr_assert(guard_raise(first, 1));
}

Test(guard, a_part_can_be_opened_and_closed)
{
    page_id first = take(2);
    char *part = (char *)page_address(first) + os_page_size();
    cr_assert(guard_raise(first, 2));
    cr_assert(guard_open(part, os_page_size()));
    cr_assert_eq(guard_count(), 2u);
    cr_assert(faults(part - 1) && !faults(part) && faults(part + os_page_size()));
    *part = 1;
    cr_assert(guard_close(part, os_page_size()));
    cr_assert_eq(guard_count(), 1u);
    cr_assert(faults(part));
    os_fail_nth(1);
    cr_assert_not(guard_open(part, os_page_size()));
    cr_assert_eq(guard_count(), 1u);
    cr_assert(faults(part));
    cr_assert(guard_open(part, os_page_size()));
    cr_assert_eq(*part, 0);
    os_fail_nth(1);
    cr_assert_not(guard_close(part, os_page_size()));
    cr_assert_eq(guard_count(), 1u);
    cr_assert_not(faults(part));
}

Test(guard, larger_pages_of_the_kernel_are_left_alone)
{
    page_id first = take_some(8);
    char *p = page_address(first);
    if (guard_is_possible())
        cr_skip("the kernel's pages are no larger than the heap's");
    for (uint32_t i = 0; i < 5; i++)
        for (size_t n = 1; n <= 3; n++)
            cr_assert_not(guard_raise((page_id){first.n + i}, n));
    cr_assert_not(guard_raise_ends(first, 8));
    cr_assert_eq(guard_count(), 0u);
    for (size_t at = 0; at < 8 * PAGE_SIZE; at++)
        cr_assert(p[at] == 1);
}
