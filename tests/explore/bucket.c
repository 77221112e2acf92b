// SPDX-License-Identifier: MIT
// Buckets of spans: one thread pops, pushes to another bucket and back, another detaches a whole bucket and
// puts its spans back one by one. A span is with one thread or in one bucket.
#include "slots.h"

#include "core/central.c" // the buckets' steps

enum { SPANS = 3 };

static atomic_u64 buckets[2];
static struct span *spans[SPANS];
static unsigned owners[SPANS]; // a thread + 1; 0: a bucket's

static void receive(const struct span *span, unsigned owner)
{
    unsigned i = 0;
    while (i < SPANS && spans[i] != span)
        i++;
    explore_check(i < SPANS && owners[i] == 0);
    owners[i] = owner;
}

static void put(unsigned bucket, struct span *span, unsigned owner)
{
    for (unsigned i = 0; i < SPANS; i++)
        if (spans[i] == span) {
            explore_check(owners[i] == owner);
            owners[i] = 0;
        }
    bucket_push(&buckets[bucket], span);
}

static void prepare(void)
{
    slots_prepare();
    for (unsigned i = 0; i < SPANS; i++) {
        page_id page = page_heap_take(1, PAGE_SIZE).first;
        spans[i] = page_descriptor(page);
        spans[i]->first = page;
    }
}

static void start(void)
{
    for (unsigned i = 0; i < SPANS; i++)
        owners[i] = 9;
    for (unsigned i = SPANS; i-- > 0;)
        put(0, spans[i], 9);
}

static void pop_and_push(void)
{
    struct span *first = bucket_pop(&buckets[0]);
    if (first == NULL)
        return;
    receive(first, 1);
    struct span *second = bucket_pop(&buckets[0]);
    if (second != NULL) {
        receive(second, 1);
        put(1, second, 1);
    }
    put(0, first, 1);
}

static void detach_and_put_back(unsigned owner)
{
    for (uint32_t link = bucket_detach(&buckets[0]); link != 0;) {
        struct span *span = linked(link);
        receive(span, owner);
        link = load_relaxed(&span->next);
        put(0, span, owner);
    }
}

static void thread(unsigned me)
{
    if (me == 0)
        pop_and_push();
    else
        detach_and_put_back(2);
}

static void finish(void)
{
    for (unsigned bucket = 0; bucket < 2; bucket++)
        for (struct span *span; (span = bucket_pop(&buckets[bucket])) != NULL;)
            receive(span, 9);
    for (unsigned i = 0; i < SPANS; i++)
        explore_check(owners[i] == 9);
}

int main(int argc, char **argv)
{
    static const struct explore_scenario scenario = {.name = "bucket",
                                                     .threads = 2,
                                                     .preemptions = 4,
                                                     .randoms = 10000,
                                                     .prepare = prepare,
                                                     .start = start,
                                                     .thread = thread,
                                                     .finish = finish};
    return explore_main(&scenario, argc, argv);
}
