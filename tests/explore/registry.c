// SPDX-License-Identifier: MIT
// The registry: two threads take caches and give them back while a third walks over all. A cache has one
// owner and a number of its own, and is whole when it is found.
#include "explore.h"

#include "core/meta.c"       // its memory is used again in each schedule,
#include "tcache/registry.c" // which begins with an empty registry
#include <string.h>

enum { CACHES_MAX = 8 };

static struct tcache *owned[2];

static void start(void)
{
    static void *memory;
    if (memory == NULL)
        memory = meta_alloc(CACHE_LINE, CACHE_LINE);
    meta.next = (uintptr_t)memory;
    memset(memory, 0, 4 * sizeof(struct tcache));
    memset(&registry, 0, sizeof registry);
    registry_init();
    owned[0] = owned[1] = NULL;
}

static void take(unsigned me)
{
    struct tcache *cache = registry_take();
    explore_check(cache != NULL && cache != owned[1 - me]);
    explore_check(load_relaxed(&cache->state) == TCACHE_LIVE);
    owned[me] = cache;
}

static void give(unsigned me)
{
    struct tcache *cache = owned[me];
    owned[me] = NULL;
    registry_give(cache);
}

static void walk(void)
{
    uint32_t seen = 0;
    for (struct tcache *cache = registry_first(); cache != NULL; cache = registry_next(cache)) {
        uint32_t home = cache->tag >> PAGE_HOME_SHIFT;
        explore_check(home >= 1 && home < CACHES_MAX && (seen >> home & 1) == 0);
        seen |= 1u << home;
    }
}

static void thread(unsigned me)
{
    if (me == 2) {
        walk();
        return;
    }
    take(me);
    give(me);
    take(me);
}

static void finish(void)
{
    walk();
    explore_check(registry_starts() == 4);
    give(0);
    give(1);
}

int main(int argc, char **argv)
{
    static const struct explore_scenario scenario = {.name = "registry",
                                                     .threads = 3,
                                                     .preemptions = 2,
                                                     .randoms = 10000,
                                                     .prepare = meta_init,
                                                     .start = start,
                                                     .thread = thread,
                                                     .finish = finish};
    return explore_main(&scenario, argc, argv);
}
