// SPDX-License-Identifier: MIT
#include "buddy/buddy.h"

#include "seeded.h"
#include <criterion/criterion.h>
#include <string.h>

static struct buddy buddy;
static bool is_free[ZONE_PAGES]; // the model

static bool run_is(size_t first, size_t n, bool wanted)
{
    for (size_t i = first; i < first + n; i++)
        if (is_free[i] != wanted)
            return false;
    return true;
}

static void mark(size_t first, size_t n, bool value) { memset(is_free + first, value, n); }

// The smallest order of a free block that is not part of a larger one and fits, and the lowest such block.
static size_t model_take(size_t n, size_t align)
{
    size_t least = 1;
    while (least < n || least < align)
        least *= 2;
    for (size_t block = least; block <= ZONE_PAGES; block *= 2)
        for (size_t first = 0; first < ZONE_PAGES; first += block) {
            size_t outer = first & ~(2 * block - 1);
            if (run_is(first, block, true) && (block == ZONE_PAGES || !run_is(outer, 2 * block, true)))
                return first;
        }
    return BUDDY_NONE;
}

// Valid and free of siblings, the state is the only one for its set of free pages.
static void check(void)
{
    size_t pages = 0;
    uint64_t marks[ZONE_PAGES / 64] = {0};
    cr_assert(buddy_validate(&buddy));
    buddy_mark_free(&buddy, marks);
    for (size_t page = 0; page < ZONE_PAGES; page++) {
        if (bits_test(marks, page) != is_free[page])
            cr_assert_fail("page %zu", page);
        pages += is_free[page];
    }
    cr_assert_eq(buddy_free_pages(&buddy), pages);
}

static void check_largest(void)
{
    int order = -1;
    for (int o = 0; o < (int)BUDDY_ORDERS; o++)
        if (model_take((size_t)1 << o, 1) != BUDDY_NONE)
            order = o;
    cr_assert_eq(buddy_largest(&buddy), order);
}

static size_t take(size_t n, size_t align)
{
    size_t first = buddy_find(&buddy, n, align);
    if (first != BUDDY_NONE)
        buddy_take_at(&buddy, first, n);
    return first;
}

static size_t model_exact(size_t order, size_t from)
{
    size_t block = (size_t)1 << order;
    for (size_t first = align_up(from, block); first < ZONE_PAGES; first += block) {
        size_t outer = first & ~(2 * block - 1);
        if (run_is(first, block, true) && (block == ZONE_PAGES || !run_is(outer, 2 * block, true)))
            return first;
    }
    return BUDDY_NONE;
}

static void check_exact(uint64_t random)
{
    unsigned order = (unsigned)(random >> 16) % BUDDY_ORDERS;
    size_t from = random % ZONE_PAGES;
    cr_assert_eq(buddy_find_exact(&buddy, order, from), model_exact(order, from), "order %u from %zu", order,
                 from);
}

static void check_take(size_t n, size_t align)
{
    size_t expected = model_take(n, align);
    cr_assert_eq(take(n, align), expected, "%zu pages by %zu", n, align);
    if (expected != BUDDY_NONE)
        mark(expected, n, false);
    check();
}

Test(buddy, full_and_empty)
{
    buddy_init_empty(&buddy);
    check();
    cr_assert_eq(buddy_largest(&buddy), -1);
    cr_assert_eq(take(1, 1), BUDDY_NONE);
    buddy_init_full(&buddy);
    mark(0, ZONE_PAGES, true);
    check();
    cr_assert_eq(buddy_largest(&buddy), (int)BUDDY_TOP_ORDER);
    check_take(ZONE_PAGES, 1);
    buddy_give(&buddy, 0, ZONE_PAGES);
    mark(0, ZONE_PAGES, true);
    check();
}

Test(buddy, order_holds_pages_and_alignment)
{
    cr_assert_eq(buddy_order(1, 1), 0);
    cr_assert_eq(buddy_order(5, 1), 3);
    cr_assert_eq(buddy_order(8, 1), 3);
    cr_assert_eq(buddy_order(1, 16), 4);
    cr_assert_eq(buddy_order(17, 16), 5);
}

enum { SMALL = 8 };

// Pages 8k..8k+7 in the pattern, everything else taken.
static void set_pattern(unsigned pattern, size_t base)
{
    buddy_init_empty(&buddy);
    mark(0, ZONE_PAGES, false);
    for (size_t i = 0; i < SMALL; i++)
        if (pattern >> i & 1) {
            buddy_give(&buddy, base + i, 1);
            is_free[base + i] = true;
        }
}

Test(buddy, every_take_from_every_small_pattern, .timeout = 120)
{
    for (unsigned pattern = 0; pattern < 1u << SMALL; pattern++)
        for (size_t n = 1; n <= SMALL; n++)
            for (size_t align = 1; align <= SMALL; align *= 2) {
                set_pattern(pattern, 1016);
                check_take(n, align);
            }
}

Test(buddy, every_run_given_to_and_taken_from_every_small_pattern, .timeout = 120)
{
    for (unsigned pattern = 0; pattern < 1u << SMALL; pattern++)
        for (size_t first = 1016; first < 1016 + SMALL; first++)
            for (size_t n = 1; first + n <= 1016 + SMALL; n++) {
                set_pattern(pattern, 1016);
                bool all_free = run_is(first, n, true), none_free = run_is(first, n, false);
                if (all_free)
                    buddy_take_at(&buddy, first, n);
                else if (none_free)
                    buddy_give(&buddy, first, n);
                else
                    continue;
                mark(first, n, none_free);
                check();
            }
}

Test(buddy, every_size_leaves_its_tail_free)
{
    for (size_t n = 1; n <= ZONE_PAGES; n += n < 70 ? 1 : 61) {
        buddy_init_full(&buddy);
        mark(0, ZONE_PAGES, true);
        check_take(n, 1);
        cr_assert_eq(buddy_free_pages(&buddy), ZONE_PAGES - n);
        buddy_give(&buddy, 0, n);
        cr_assert_eq(buddy_largest(&buddy), (int)BUDDY_TOP_ORDER);
    }
}

static void random_step(uint64_t *state)
{
    size_t n = 1 + seeded_next(state, (size_t)1 << seeded_next(state, BUDDY_ORDERS));
    size_t first = seeded_next(state, ZONE_PAGES - n + 1);
    if (seeded_next(state, 3) == 0) {
        check_take(n, (size_t)1 << seeded_next(state, BUDDY_ORDERS));
        return;
    }
    bool given = run_is(first, n, false);
    while (!given && !run_is(first, n, true))
        n--;
    if (n == 0)
        return;
    if (given)
        buddy_give(&buddy, first, n);
    else
        buddy_take_at(&buddy, first, n);
    mark(first, n, given);
    check();
}

Test(buddy, random_steps_agree_with_the_model, .timeout = 120)
{
    uint64_t state = seeded_start("buddy random");
    buddy_init_full(&buddy);
    mark(0, ZONE_PAGES, true);
    for (int i = 0; i < 3000; i++) {
        random_step(&state);
        if (i % 50 == 0)
            check_largest();
        check_exact(seeded_next(&state, UINT64_C(1) << 32));
    }
}

static void expect_broken(struct buddy broken) { cr_assert_not(buddy_validate(&broken)); }

Test(buddy, validate_finds_broken_states)
{
    buddy_init_full(&buddy);
    cr_assert_eq(take(3, 1), 0);
    cr_assert(buddy_validate(&buddy));
    struct buddy broken = buddy;
    broken.free[0]++;
    expect_broken(broken);
    broken = buddy;
    broken.nodes[0] |= 1; // no block is node 0
    expect_broken(broken);
    broken = buddy;
    broken.nodes[(ZONE_PAGES + 3) / 64] ^= UINT64_C(1) << (ZONE_PAGES + 3) % 64; // a free page without a bit
    expect_broken(broken);
    broken = buddy;
    broken.nodes[(ZONE_PAGES + 5) / 64] |= UINT64_C(1) << (ZONE_PAGES + 5) % 64; // inside a larger free block
    broken.free[0]++;
    expect_broken(broken);
    broken = buddy;
    broken.nodes[(ZONE_PAGES + 2) / 64] |= UINT64_C(1) << (ZONE_PAGES + 2) % 64; // both halves of one block
    broken.free[0]++;
    expect_broken(broken);
}
