// SPDX-License-Identifier: MIT
// The thread caches' common bound: one cache has taken most of what is there, and two threads want as much,
// which is refused, and their shares, which they get. A third presses, perhaps while one of them enters the
// next period. The bound holds at every moment, and whoever comes to a slow path after the press keeps
// nothing from before.
#include "slots.h"

#include "tcache/tcache.c"

// The first batches of the slots' class take 64 KiB of room, with the span that is held.
enum { TOTAL = 100 << 10, SMALL = 16, OTHER = 32, MIDDLE = 256 };

static atomic_u32 press; // 1 when it begins, 2 when it is over

static void prepare(void)
{
    setenv("TARN_TCACHE_TOTAL", "100K", 1);
    slots_prepare();
}

// The first call of a class is a slow path, and here one that caches it.
static void use(size_t size)
{
    memset(tcache_self->first_steps, FIRST_STEPS, sizeof tcache_self->first_steps);
    alloc_free_fast(alloc_fast(size));
}

static bool is_cached(size_t size) { return tcache_self->capacity[size_class_of(size)] != 0; }

// Each schedule finds the two caches in the same order and as if they were new.
static void begin(void)
{
    struct tcache *caches[2] = {registry_take(), registry_take()};
    unsigned first = caches[0]->tag < caches[1]->tag ? 0 : 1;
    for (unsigned i = 0; i < 2; i++) {
        struct tcache *cache = caches[i ^ first];
        cache->slow_steps = cache->shortages = 0;
        cache->recent = cache->recent_before = 0;
        registry_give(cache);
    }
    alloc_free_fast(alloc_fast(OTHER)); // this thread has a cache too, which must not begin with a hand-over
    use(SLOT_SIZE);
    explore_check(is_cached(SLOT_SIZE));
    store_relaxed(&press, 0);
}

static void expect_bound(void) { explore_check(load_relaxed(&charged_total) <= TOTAL); }

static void work(void)
{
    alloc_free_fast(alloc_fast(OTHER)); // makes the cache
    use(SLOT_SIZE);
    explore_check(!is_cached(SLOT_SIZE));
    use(MIDDLE);
    explore_check(is_cached(MIDDLE));
    bool comes = load_relaxed(&press) == 0;
    tcache_end_period();
    use(SMALL);
    bool is_over = load_relaxed(&press) == 2;
    use(OTHER);
    explore_check(is_cached(OTHER) && (!is_cached(MIDDLE) || !comes || !is_over));
}

static void thread(unsigned me)
{
    if (me == 2) {
        expect_bound();
        store_relaxed(&press, 1);
        tcache_press();
        store_relaxed(&press, 2);
        expect_bound();
        return;
    }
    become(&tcache_none);
    work();
    tcache_retire();
}

static void finish(void)
{
    tcache_flush();
    explore_check(registry_live() == 1 && load_relaxed(&charged_total) == 0);
    for (unsigned cls = 1; cls < SLOT_CLASS; cls++)
        central_trim(cls, true);
    slots_expect_none();
}

int main(int argc, char **argv)
{
    static const struct explore_scenario scenario = {.name = "share",
                                                     .threads = 3,
                                                     .preemptions = 1,
                                                     .randoms = 500,
                                                     .prepare = prepare,
                                                     .start = begin,
                                                     .thread = thread,
                                                     .finish = finish};
    return explore_main(&scenario, argc, argv);
}
