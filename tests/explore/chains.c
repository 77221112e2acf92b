// SPDX-License-Identifier: MIT
// A batch so large that its objects are chained by page: one thread gives two spans' slots back in turns, one
// takes, one visits and sweeps. All comes back, and no span goes home before its slots have.
#include "slots.h"

static struct slots slots[2];

static void start(void)
{
    struct slots all = {.n = 0};
    while (all.n < 2 * SPAN_SLOTS)
        slots_take(&all, 2 * SPAN_SLOTS - all.n, 1, 9);
    for (unsigned i = 0; i < 2 * SPAN_SLOTS; i++) {
        void *object = all.objects[i % 2 * SPAN_SLOTS + i / 2];
        slot_mark(object, 0);
        slots_add(&slots[0], object, 1);
    }
}

static void thread(unsigned me)
{
    if (me == 0)
        slots_give(&slots[0], 2 * SPAN_SLOTS, 1);
    else if (me == 1)
        slots_take(&slots[1], 2, 1, 2);
    else
        central_trim(SLOT_CLASS, true);
}

static void finish(void)
{
    explore_check(central_validate(SLOT_CLASS));
    slots_give(&slots[1], slots[1].n, 2);
    slots_expect_none();
}

int main(int argc, char **argv)
{
    static const struct explore_scenario scenario = {.name = "chains",
                                                     .threads = 3,
                                                     .preemptions = 1,
                                                     .randoms = 40000,
                                                     .prepare = slots_prepare,
                                                     .start = start,
                                                     .thread = thread,
                                                     .finish = finish};
    return explore_main(&scenario, argc, argv);
}
