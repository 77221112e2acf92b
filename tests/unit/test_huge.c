// SPDX-License-Identifier: MIT
// Includes the source to start from each mode.
#include "buddy/huge.c"

#include <criterion/criterion.h>

static void start(const char *text)
{
    store_relaxed(&options.thp, text);
    store_relaxed(&filled_blocks, 0);
    size_t size = (size_t)4 << HUGE_SHIFT;
    void *window = os_reserve(size, (size_t)1 << HUGE_SHIFT);
    cr_assert_not_null(window);
    huge_init(window, size);
}

static void skip_other_kernels(void)
{
    if (!kernel_fits())
        cr_skip("the kernel's huge pages are not of 2 MiB");
}

TestSuite(huge, .init = skip_other_kernels);

Test(huge, small_blocks_get_them_where_much_is_used_and_filled)
{
    start("auto");
    cr_assert_not(huge_pays(1, 0, true));
    cr_assert_not(huge_pays(1, USED_LEAST - 1, true));
    cr_assert(huge_pays(HUGE_PAGES - 1, USED_LEAST, true));
    cr_assert(huge_pays(1, USED_LEAST, true));
    cr_assert_not(huge_pays(1, USED_LEAST, false));
}

// Ranges of a window of our own, all of whose kernel pages up to `filled` hold memory.
static page_id range_filled(int number, size_t filled)
{
    char *start = (char *)sealed.map.base + ((size_t)number << HUGE_SHIFT);
    memset(start, 1, filled * os_page_size());
    return page_of(start);
}

Test(huge, the_range_before_tells_whether_ranges_are_filled)
{
    struct huge_history history = {0};
    size_t all = ((size_t)1 << HUGE_SHIFT) / os_page_size();
    start("auto");
    sealed.map.base = (uintptr_t)os_reserve((size_t)8 << HUGE_SHIFT, (size_t)1 << HUGE_SHIFT);
    sealed.map.pages = 8 * HUGE_PAGES;
    cr_assert(os_commit((void *)sealed.map.base, (size_t)8 << HUGE_SHIFT));
    cr_assert_not(huge_is_dense(&history), "nothing is known");
    huge_note_small(&history, range_filled(0, all - all / FILLED_PARTS));
    cr_assert(huge_is_dense(&history));
    cr_assert(huge_is_dense(&history), "it is looked at once");
    huge_note_small(&history, range_filled(1, all - all / FILLED_PARTS - 1));
    cr_assert_not(huge_is_dense(&history), "a page is missing");
    huge_note_small(&history, range_filled(2, all));
    cr_assert(huge_is_dense(&history));
    huge_note_small(&history, range_filled(3, 0));
    cr_assert_not(huge_is_dense(&history));
}

Test(huge, one_range_in_some_is_spared)
{
    struct huge_history history = {0};
    int spared = 0;
    for (int i = 0; i < 10 * SPARED; i++)
        spared += huge_spares(&history);
    cr_assert_eq(spared, 10);
}

Test(huge, large_blocks_get_them_when_others_were_filled)
{
    start("auto");
    store_relaxed(&credit, 0);
    cr_assert_not(huge_pays(HUGE_PAGES, UINT64_C(1) << 40, true));
    for (int i = 0; i < FILLED_TRUSTED; i++) {
        cr_assert_not(huge_pays(HUGE_PAGES, UINT64_C(1) << 40, true));
        huge_learn(true);
    }
    cr_assert(huge_pays(HUGE_PAGES, 0, false));
    huge_learn(true);
    huge_learn(false);
    cr_assert_not(huge_pays(HUGE_PAGES, 0, false));
    huge_learn(true);
    cr_assert_not(huge_pays(HUGE_PAGES, 0, false));
}

Test(huge, the_first_large_blocks_are_trusted)
{
    start("auto");
    cr_assert_eq(load_relaxed(&credit), os_memory_bytes() / PAGE_SIZE / CREDIT_PART);
    store_relaxed(&credit, 3 * HUGE_PAGES);
    cr_assert_not(huge_pays(1, 0, true));
    cr_assert(huge_pays(2 * HUGE_PAGES, 0, false));
    cr_assert_not(huge_pays(2 * HUGE_PAGES, 0, false), "more than is left");
    cr_assert(huge_pays(HUGE_PAGES, 0, false));
    cr_assert_not(huge_pays(HUGE_PAGES, 0, false));
    store_relaxed(&credit, 2 * ZONE_PAGES);
    cr_assert(huge_pays(2 * ZONE_PAGES, 0, false));
    cr_assert(huge_pays(2 * ZONE_PAGES, 0, false), "its other zone");
    cr_assert_not(huge_pays(2 * ZONE_PAGES, 0, false));
    store_relaxed(&credit, 3 * HUGE_PAGES);
    huge_learn(false);
    cr_assert_not(huge_pays(HUGE_PAGES, 0, false), "one was not filled");
}

Test(huge, always_and_never)
{
    start("always");
    cr_assert(huge_pays(1, 0, false));
    cr_assert(huge_pays(HUGE_PAGES, 0, false));
    start("never");
    for (int i = 0; i < FILLED_TRUSTED; i++)
        huge_learn(true);
    cr_assert_not(huge_pays(1, UINT64_C(1) << 40, true));
    cr_assert_not(huge_pays(HUGE_PAGES, 0, false));
}

Test(huge, blocks_below_a_range_teach_nothing)
{
    cr_assert_not(huge_may_learn(HUGE_PAGES - 1));
    cr_assert(huge_may_learn(HUGE_PAGES));
}
