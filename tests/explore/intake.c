// SPDX-License-Identifier: MIT
// An intake: two threads push while a third drains. Each node comes out once.
#include "explore.h"

#include "core/intake.h"
#include <stddef.h>

static struct intake intake;
static struct intake_node nodes[3];
static unsigned drained[3];

static void start(void)
{
    intake_init(&intake);
    for (unsigned i = 0; i < 3; i++)
        drained[i] = 0;
}

static void drain(void)
{
    for (struct intake_node *node; (node = intake_drain(&intake)) != NULL;)
        drained[node - nodes]++;
}

static void thread(unsigned me)
{
    if (me == 0) {
        drain();
        drain();
        return;
    }
    intake_push(&intake, &nodes[me]);
    explore_check(me == 1 || !intake_is_empty(&intake) || drained[2] != 0 || intake.taken != NULL);
    if (me == 1)
        intake_push(&intake, &nodes[0]);
}

static void finish(void)
{
    drain();
    explore_check(intake_is_drained(&intake));
    for (unsigned i = 0; i < 3; i++)
        explore_check(drained[i] == 1);
}

int main(int argc, char **argv)
{
    static const struct explore_scenario scenario = {.name = "intake",
                                                     .threads = 3,
                                                     .preemptions = 3,
                                                     .randoms = 10000,
                                                     .start = start,
                                                     .thread = thread,
                                                     .finish = finish};
    return explore_main(&scenario, argc, argv);
}
