// SPDX-License-Identifier: MIT
// The pool of a class: one thread takes and gives, one gives a span back whole, one visits and sweeps. No
// slot has two owners, none that is in use loses its content to a purge, and all comes back.
#include "slots.h"

static struct slots slots[4]; // the last one's stay in use

static void start(void)
{
    struct slots all = {.n = 0};
    while (all.n < 2 * SPAN_SLOTS)
        slots_take(&all, 2 * SPAN_SLOTS - all.n, 1, 9);
    for (unsigned i = 0; i < 2 * SPAN_SLOTS; i++) {
        unsigned owner = i < 3 ? 0 : i < 4 ? 3 : i < SPAN_SLOTS ? 2 : 1;
        slot_mark(all.objects[i], 0);
        slots_add(&slots[owner], all.objects[i], owner + 1);
    }
    slots_give(&slots[2], slots[2].n, 3); // half a span lies free, another is wholly in use
    central_trim(SLOT_CLASS, true);       // and was visited once
}

static void thread(unsigned me)
{
    if (me == 0) {
        slots_take(&slots[0], 2, 1, 1);
        slots_give(&slots[0], 3, 1);
    } else if (me == 1) {
        slots_give(&slots[1], 5, 2);
        slots_give(&slots[1], 3, 2);
    } else {
        central_trim(SLOT_CLASS, true);
    }
}

static void finish(void)
{
    explore_check(central_validate(SLOT_CLASS));
    for (unsigned i = 0; i < 4; i++)
        if (slots[i].n != 0)
            slots_give(&slots[i], slots[i].n, i + 1);
    slots_expect_none();
}

int main(int argc, char **argv)
{
    static const struct explore_scenario scenario = {.name = "central",
                                                     .threads = 3,
                                                     .preemptions = 1,
                                                     .randoms = 80000,
                                                     .prepare = slots_prepare,
                                                     .start = start,
                                                     .thread = thread,
                                                     .finish = finish};
    return explore_main(&scenario, argc, argv);
}
