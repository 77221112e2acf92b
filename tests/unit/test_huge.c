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

Test(huge, small_blocks_get_them_where_much_is_used)
{
    start("auto");
    cr_assert_not(huge_pays(1, 0));
    cr_assert_not(huge_pays(HUGE_PAGES - 1, USED_RANGES * HUGE_PAGES - 1));
    cr_assert(huge_pays(1, USED_RANGES * HUGE_PAGES));
}

Test(huge, large_blocks_get_them_when_others_were_filled)
{
    start("auto");
    cr_assert_not(huge_pays(HUGE_PAGES, UINT64_C(1) << 40));
    for (int i = 0; i < FILLED_TRUSTED; i++) {
        cr_assert_not(huge_pays(HUGE_PAGES, UINT64_C(1) << 40));
        huge_learn(true);
    }
    cr_assert(huge_pays(HUGE_PAGES, 0));
    huge_learn(true);
    huge_learn(false);
    cr_assert_not(huge_pays(HUGE_PAGES, 0));
    huge_learn(true);
    cr_assert_not(huge_pays(HUGE_PAGES, 0));
}

Test(huge, always_and_never)
{
    start("always");
    cr_assert(huge_pays(1, 0));
    cr_assert(huge_pays(HUGE_PAGES, 0));
    start("never");
    for (int i = 0; i < FILLED_TRUSTED; i++)
        huge_learn(true);
    cr_assert_not(huge_pays(1, UINT64_C(1) << 40));
    cr_assert_not(huge_pays(HUGE_PAGES, 0));
}

Test(huge, blocks_below_a_range_teach_nothing)
{
    cr_assert_not(huge_may_learn(HUGE_PAGES - 1));
    cr_assert(huge_may_learn(HUGE_PAGES));
}
