// SPDX-License-Identifier: MIT
// Spans that come to rest where the kernel's pages are larger than the heap's: one thread visits, one gives.
// What goes back is whole pages of the kernel's, inside the span.
#define SLOT_SIZE 10240 // five pages: a page of the kernel's and a part of the next
#include "slots.h"

static struct slots slots[2];

static void prepare(void)
{
    slots_prepare();
    explore_page_size = (size_t)64 << 10;
}

static void start(void)
{
    while (slots[0].n < 4 * SPAN_SLOTS)
        slots_take(&slots[0], 4 * SPAN_SLOTS - slots[0].n, 1, 1);
    for (unsigned i = 0; i < 4 * SPAN_SLOTS; i++)
        if (i % SPAN_SLOTS != SPAN_SLOTS - 1) { // each span's lowest slot stays in use
            slot_mark(slots[0].objects[i], 0);
            slots_add(&slots[1], slots[0].objects[i], 2);
            slots[0].objects[i] = NULL;
        }
    for (size_t i = 0; i < 4; i++)
        slots[0].objects[i] = slots[0].objects[(i + 1) * SPAN_SLOTS - 1];
    slots[0].n = 4;
}

static void thread(unsigned me)
{
    if (me == 0)
        slots_give(&slots[1], slots[1].n, 2);
    else
        central_trim(SLOT_CLASS, true);
}

static void finish(void)
{
    for (unsigned i = 0; i < 3; i++)
        central_trim(SLOT_CLASS, true);
    slots_give(&slots[0], slots[0].n, 1);
    slots_expect_none();
    page_heap_purge();
}

int main(int argc, char **argv)
{
    static const struct explore_scenario scenario = {.name = "rest",
                                                     .threads = 2,
                                                     .preemptions = 1,
                                                     .randoms = 1000,
                                                     .prepare = prepare,
                                                     .start = start,
                                                     .thread = thread,
                                                     .finish = finish};
    return explore_main(&scenario, argc, argv);
}
