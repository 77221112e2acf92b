// SPDX-License-Identifier: MIT
// The page heap: one thread gives blocks that others' locks are in the way of, one takes, one purges and
// one's recent blocks are in between. Pages have one owner, clean ones are zero, and none is lost.
#include "explore.h"

#include "buddy/page_heap.c" // the stripes' intakes are looked into
#include "core/init.h"
#include "core/page_map.h"
#include <stdlib.h>
#include <string.h>

enum { PAGES = 64 }; // so many have pages of the kernel's to themselves for their descriptors

static page_id blocks[4];

static void prepare(void)
{
    setenv("TARN_BACKGROUND", "never", 1);
    if (!heap_start())
        abort();
}

static uint64_t *word_of(page_id first, size_t page)
{
    return page_address((page_id){first.n + (uint32_t)page});
}

// The block's descriptor is the owner's, too.
static void mark(page_id first, uint64_t owner)
{
    *(uint64_t *)page_descriptor(first) = owner;
    for (size_t i = 0; i < PAGES; i++)
        *word_of(first, i) = owner;
}

static void expect(page_id first, uint64_t owner)
{
    for (size_t i = 0; i < PAGES; i++)
        explore_check(*word_of(first, i) == owner);
    explore_check(owner == 0 || *(uint64_t *)page_descriptor(first) == owner);
}

static page_id take(uint64_t owner)
{
    struct page_block block = page_heap_take(PAGES, PAGE_SIZE);
    explore_check(block.first.n != NO_PAGE.n);
    if (block.clean)
        expect(block.first, 0);
    mark(block.first, owner);
    return block.first;
}

static void give(page_id first, uint64_t owner)
{
    expect(first, owner);
    mark(first, 0xdead);
    page_heap_give(first, PAGES);
}

static void start(void)
{
    for (size_t i = 0; i < RECENT_SIZES; i++)
        store_relaxed(&recent_sets[i].gives, 0);
    for (unsigned i = 0; i < 4; i++)
        blocks[i] = take(i + 1);
    give(blocks[3], 4);
}

static void thread(unsigned me)
{
    if (me == 0) {
        page_id page = take(1);
        give(blocks[0], 1); // the last step: nobody else's call repairs what goes wrong
        blocks[0] = page;
    } else if (me == 1) {
        expect(blocks[1], 2);
        mark(blocks[1], 0xdead);
        page_heap_give_recent(blocks[1], PAGES);
        struct page_run run = page_heap_take_recent(PAGES);
        blocks[1] = run.n != 0 ? run.first : take(2);
        mark(blocks[1], 2);
    } else {
        page_heap_purge();
    }
}

static void finish(void)
{
    explore_check(intake_is_empty(&heap.stripes[0].intake)); // what lay there was left to nobody
    explore_check(page_heap_validate());
    for (unsigned i = 0; i < 3; i++)
        give(blocks[i], i + 1);
    page_heap_purge();
    explore_check(page_heap_validate());
    struct page_heap_counts counts = page_heap_counts();
    explore_check(counts.used_pages == 0 && counts.dirty_pages == 0);
}

int main(int argc, char **argv)
{
    static const struct explore_scenario scenario = {.name = "pages",
                                                     .threads = 3,
                                                     .preemptions = 1,
                                                     .randoms = 3000,
                                                     .prepare = prepare,
                                                     .start = start,
                                                     .thread = thread,
                                                     .finish = finish};
    return explore_main(&scenario, argc, argv);
}
