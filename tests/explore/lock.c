// SPDX-License-Identifier: MIT
// A lock: three threads take it, one of them tries first. One has it at a time, and nobody sleeps for ever.
#include "explore.h"

#include "core/lock.h"

static struct lock lock;
static atomic_u32 inside; // a step between the two, for the others
static unsigned rounds;

static void start(void)
{
    lock_init(&lock, LOCK_STRIPE);
    rounds = 0;
}

static void enter(void)
{
    explore_check(load_relaxed(&inside) == 0 && lock_is_mine(&lock));
    store_relaxed(&inside, 1);
    rounds++;
    store_relaxed(&inside, 0);
    lock_drop(&lock);
}

static void thread(unsigned me)
{
    if (me != 2 || !lock_try(&lock))
        lock_take(&lock);
    enter();
}

static void finish(void) { explore_check(load_relaxed(&lock.word) == 0 && rounds == 3); }

int main(int argc, char **argv)
{
    static const struct explore_scenario scenario = {.name = "lock",
                                                     .threads = 3,
                                                     .preemptions = 3,
                                                     .randoms = 5000,
                                                     .start = start,
                                                     .thread = thread,
                                                     .finish = finish};
    return explore_main(&scenario, argc, argv);
}
