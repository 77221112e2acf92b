// SPDX-License-Identifier: MIT
// A set of recent blocks: one thread takes and gives, one gives into a full set, one walks and takes all out.
// A block is in one place.
#include "explore.h"

#include "buddy/recent.h"

enum { BLOCKS = RECENT_BLOCKS + 1, OUT = 9 };

static unsigned owners[BLOCKS]; // a thread + 1; 0: the set's

// Block i has 8 + i % 2 pages and starts at page 16 i.
static page_id first_of(unsigned i) { return (page_id){16 * i}; }
static size_t pages_of(unsigned i) { return 8 + i % 2; }

static void receive(struct page_run run, unsigned owner)
{
    unsigned i = run.first.n / 16;
    explore_check(run.first.n % 16 == 0 && i < BLOCKS && run.n == pages_of(i) && owners[i] == 0);
    owners[i] = owner;
}

static void give(unsigned i, unsigned owner)
{
    explore_check(owners[i] == owner);
    owners[i] = 0;
    struct page_run displaced = {NO_PAGE, 0};
    recent_count(&recent_sets[0]);
    if (!recent_keep(&recent_sets[0], first_of(i), pages_of(i)))
        displaced = recent_displace(&recent_sets[0], first_of(i), pages_of(i));
    if (displaced.n != 0)
        receive(displaced, OUT);
}

static void start(void)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        owners[i] = OUT;
    for (unsigned i = 0; i < RECENT_BLOCKS; i++)
        give(i, OUT);
    owners[RECENT_BLOCKS] = 2;
}

static void take_and_give(void)
{
    struct page_run run = recent_take_word(&recent_sets[0], 8, 1);
    if (run.n == 0)
        return;
    receive(run, 1);
    give(run.first.n / 16, 1);
}

static void walk(void)
{
    size_t from = 0;
    for (struct page_run run; (run = recent_next(&from)).n != 0;)
        receive(run, OUT);
}

static void thread(unsigned me)
{
    if (me == 0)
        take_and_give();
    else if (me == 1)
        give(RECENT_BLOCKS, 2);
    else
        walk();
}

static void finish(void)
{
    walk();
    for (unsigned i = 0; i < BLOCKS; i++)
        explore_check(owners[i] == OUT);
    explore_check(recent_pages() == 0);
    store_relaxed(&recent_sets[0].gives, 0);
}

int main(int argc, char **argv)
{
    static const struct explore_scenario scenario = {.name = "recent",
                                                     .threads = 3,
                                                     .preemptions = 2,
                                                     .randoms = 10000,
                                                     .start = start,
                                                     .thread = thread,
                                                     .finish = finish};
    return explore_main(&scenario, argc, argv);
}
