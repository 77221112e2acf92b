// SPDX-License-Identifier: MIT
// Thread caches: two threads allocate, hand objects over, free and end, while a third counts what caches
// hold. No object has two owners, and after the threads' end nothing is missing.
#include "slots.h"

#include "tcache/tcache.c"

enum { OWN = 5 };

static void *mailbox;
static atomic_u32 full; // orders the hand-over

// Each schedule finds the two caches in the same order and as if they were new.
static void begin(void)
{
    struct tcache *caches[2] = {registry_take(), registry_take()};
    unsigned first = caches[0]->tag < caches[1]->tag ? 0 : 1;
    for (unsigned i = 0; i < 2; i++) {
        struct tcache *cache = caches[i ^ first];
        cache->slow_steps = cache->shortages = 0;
        cache->recent = cache->recent_before = 0;
        cache->first_steps[SLOT_CLASS] = 2; // the rest of them before the class is cached
        registry_give(cache);
    }
    mailbox = NULL;
}

static void *take(uint64_t owner)
{
    void *object = alloc_fast(4096);
    slot_expect(object, 0);
    slot_mark(object, owner);
    return object;
}

static void drop(void *object, uint64_t owner)
{
    slot_expect(object, owner);
    slot_mark(object, 0);
    alloc_free_fast(object);
}

static void produce(void)
{
    void *objects[OWN];
    for (unsigned i = 0; i < OWN; i++)
        objects[i] = take(1);
    mailbox = objects[0];
    store_relaxed(&full, 1);
    for (unsigned i = 1; i < OWN; i++)
        drop(objects[i], 1);
}

static void consume(void)
{
    void *object = take(2);
    drop(object, 2);
    if (exchange_relaxed(&full, 0) != 0)
        drop(mailbox, 1);
    object = take(2);
    drop(object, 2);
}

static void count(void)
{
    static struct tcache_counts counts;
    tcache_counts_shared(&counts);
    explore_check(counts.caches <= 2 && counts.live <= 2);
    // Each bin was a batch and a spare at most, wherever they went meanwhile.
    explore_check(counts.objects[SLOT_CLASS] <= (uint64_t)4 * 2 * BATCH_SLOTS);
}

static void thread(unsigned me)
{
    if (me == 2) {
        count();
        return;
    }
    become(&tcache_none); // each schedule is a new thread's
    if (me == 0)
        produce();
    else
        consume();
    explore_check(tcache_validate());
    tcache_retire();
}

static void finish(void)
{
    static struct tcache_counts counts;
    if (exchange_relaxed(&full, 0) != 0) {
        slot_mark(mailbox, 0);
        central_give(SLOT_CLASS, &mailbox, 1);
    }
    tcache_counts_shared(&counts);
    explore_check(counts.live == 0 && counts.objects[SLOT_CLASS] == 0);
    slots_expect_none();
}

int main(int argc, char **argv)
{
    static const struct explore_scenario scenario = {.name = "tcache",
                                                     .threads = 3,
                                                     .preemptions = 1,
                                                     .randoms = 1000,
                                                     .prepare = slots_prepare,
                                                     .start = begin,
                                                     .thread = thread,
                                                     .finish = finish};
    return explore_main(&scenario, argc, argv);
}
