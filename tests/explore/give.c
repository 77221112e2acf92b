// SPDX-License-Identifier: MIT
// Two threads give blocks of one stripe back at once: one finds the lock held and leaves its block in the
// intake. No block stays there when nobody is left to look.
#include "explore.h"

#include "buddy/page_heap.c" // the stripes' intakes are looked into
#include "core/init.h"
#include <stdlib.h>

static page_id blocks[2];

static void prepare(void)
{
    setenv("TARN_BACKGROUND", "never", 1);
    if (!heap_start())
        abort();
}

static void start(void)
{
    for (unsigned i = 0; i < 2; i++)
        blocks[i] = page_heap_take(2, PAGE_SIZE).first;
}

static void thread(unsigned me) { page_heap_give(blocks[me], 2); }

static void finish(void)
{
    explore_check(intake_is_empty(&heap.stripes[0].intake));
    explore_check(page_heap_validate());
    explore_check(page_heap_counts().used_pages == 0); // the next holder has put away what it found
    page_heap_purge();
    explore_check(page_heap_counts().used_pages == 0 && page_heap_counts().dirty_pages == 0);
}

int main(int argc, char **argv)
{
    static const struct explore_scenario scenario = {.name = "give",
                                                     .threads = 2,
                                                     .preemptions = 3,
                                                     .randoms = 5000,
                                                     .prepare = prepare,
                                                     .start = start,
                                                     .thread = thread,
                                                     .finish = finish};
    return explore_main(&scenario, argc, argv);
}
