// SPDX-License-Identifier: MIT
// Stacks of batches: two threads pop and push while a third counts what lies there. A batch is with one
// thread or in one stack, and what its owner wrote into it goes with it.
#include "slots.h"

enum { BATCHES = 3, BOUND = 2 };

static batch_stack stack;
static struct batch *batches[BATCHES];
static unsigned owners[BATCHES]; // a thread + 1; 0: a stack's

static unsigned index_of(const struct batch *batch)
{
    unsigned i = 0;
    while (i < BATCHES && batches[i] != batch)
        i++;
    explore_check(i < BATCHES);
    return i;
}

static void start(void)
{
    for (unsigned i = 0; i < BATCHES; i++) {
        batches[i] = batch_new();
        batch_set_count(batches[i], i);
        owners[i] = 0;
    }
    owners[2] = 2;
    explore_check(batch_push(&stack, batches[0], BOUND) && batch_push(&stack, batches[1], BOUND));
    explore_check(!batch_push(&stack, batches[2], BOUND));
}

static struct batch *pop(unsigned me)
{
    struct batch *batch = batch_pop(&stack);
    if (batch == NULL)
        return NULL;
    unsigned i = index_of(batch);
    explore_check(owners[i] == 0 && batch_count(batch) == i);
    owners[i] = me + 1;
    return batch;
}

static void push(unsigned me, struct batch *batch)
{
    unsigned i = index_of(batch);
    explore_check(owners[i] == me + 1);
    owners[i] = 0;
    if (!batch_push(&stack, batch, BOUND))
        owners[i] = me + 1;
}

// The first comes back on top of another: the same top over another link.
static void pop_two_and_push(unsigned me)
{
    struct batch *first = pop(me), *second = pop(me);
    if (me == 1)
        push(me, batches[2]);
    else if (second != NULL)
        push(me, second);
    if (first != NULL)
        push(me, first);
}

static void thread(unsigned me)
{
    if (me == 2) {
        explore_check(batch_objects_shared(&stack) <= 2 + 1 + 2);
        return;
    }
    pop_two_and_push(me);
}

static void finish(void)
{
    unsigned depth = batch_depth(&stack), n = 0;
    explore_check(depth <= BOUND);
    for (struct batch *batch; (batch = batch_pop(&stack)) != NULL; n++) {
        explore_check(owners[index_of(batch)] == 0);
        owners[index_of(batch)] = 9;
    }
    explore_check(n == depth && batch_depth(&stack) == 0);
    for (unsigned i = 0; i < BATCHES; i++) {
        explore_check(owners[i] != 0);
        batch_recycle(batches[i]);
    }
}

int main(int argc, char **argv)
{
    static const struct explore_scenario scenario = {.name = "batch",
                                                     .threads = 3,
                                                     .preemptions = 2,
                                                     .randoms = 10000,
                                                     .prepare = slots_prepare,
                                                     .start = start,
                                                     .thread = thread,
                                                     .finish = finish};
    return explore_main(&scenario, argc, argv);
}
