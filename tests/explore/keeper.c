// SPDX-License-Identifier: MIT
// The background thread beside threads that free memory: when all sleep, nothing is left that it should have
// given back.
#define _GNU_SOURCE // for the source below
#include "slots.h"

#include "core/background.c" // what the thread runs

static struct slots slots[3];
static struct span *held;
static unsigned times_idle;

static void start(void)
{
    void *objects[SPAN_SLOTS];
    held = NULL;
    central_init(); // sets the clocks back
    page_heap_init();
    while (slots[1].n < SPAN_SLOTS)
        slots_take(&slots[1], SPAN_SLOTS - slots[1].n, 1, 1);
    explore_check(central_take(SLOT_CLASS, objects, 2, 2, CENTRAL_ALL, &held) == 2 && held != NULL);
    for (unsigned i = 0; i < 2; i++)
        slots_add(&slots[2], objects[i], 2);
    central_trim(SLOT_CLASS, true);
    store_relaxed(&decay_keeper, KEEPER_AWAKE);
    store_relaxed(&running, 1);
    times_idle = 0;
}

static void thread(unsigned me)
{
    if (me == 0) {
        keep(NULL);
    } else if (me == 1) {
        slots_give(&slots[1], SPAN_SLOTS, 1);
    } else {
        slots_give(&slots[2], 1, 2);
        central_release(held); // sparse, but not empty
    }
}

static void idle(void)
{
    explore_check(times_idle++ == 0);
    explore_check(load_relaxed(&decay_keeper) == KEEPER_ASLEEP);
    explore_check(central_is_settled());
    explore_check(held->age == SPAN_RESTING);
    store_relaxed(&decay_keeper, KEEPER_STOPPED);
    os_unpark_all(&decay_keeper);
}

static void finish(void)
{
    explore_check(load_relaxed(&running) == 0 && times_idle == 1);
    slots_give(&slots[2], 1, 2);
    slots_expect_none();
    page_heap_purge();
}

int main(int argc, char **argv)
{
    static const struct explore_scenario scenario = {.name = "keeper",
                                                     .threads = 3,
                                                     .preemptions = 1,
                                                     .randoms = 1000,
                                                     .stall_ms = 1000,
                                                     .prepare = slots_prepare,
                                                     .start = start,
                                                     .thread = thread,
                                                     .idle = idle,
                                                     .finish = finish};
    return explore_main(&scenario, argc, argv);
}
