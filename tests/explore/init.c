// SPDX-License-Identifier: MIT
// The start: three threads make the first call at once. The layers are started by one of them, once, and
// nobody goes on before; a start that failed is tried again.
#include "explore.h"

#include "core/init.c" // the phase is set back between schedules

static atomic_u32 starting; // a step for the others
static unsigned starts;
static bool whole;

// The scenario's layers: the first start fails in the middle.
bool page_map_init(size_t arena) { return arena != 1; }
bool zone_table_init(void)
{
    explore_check(load_relaxed(&starting) == 0 && !whole);
    store_relaxed(&starting, 1);
    starts++;
    store_relaxed(&starting, 0);
    return starts > 1;
}

union sealed sealed = {.map.reserved = true};
void sealed_close(void) {}
unsigned page_heap_stripes(void) { return 1; }
void meta_init(void) {}
bool site_init(void) { return true; }
void page_heap_init(void) {}
void batch_init(void) {}
void central_init(void) {}
void tcache_init(void) {}
void limit_refresh(void) {}
void harden_init(void) {}
void alloc_init(void) {}
void fork_init(void) { whole = true; }

static void start(void)
{
    store_relaxed(&phase, COLD);
    starts = 0;
    whole = false;
}

static void thread(unsigned me)
{
    (void)me;
    bool started = heap_start();
    explore_check(started == whole || starts == 1);
    explore_check(!started || heap_has_started());
}

static void finish(void) { explore_check(whole && starts == 2); }

int main(int argc, char **argv)
{
    static const struct explore_scenario scenario = {.name = "init",
                                                     .threads = 3,
                                                     .preemptions = 2,
                                                     .randoms = 3000,
                                                     .start = start,
                                                     .thread = thread,
                                                     .finish = finish};
    return explore_main(&scenario, argc, argv);
}
