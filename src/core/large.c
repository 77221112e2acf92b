// SPDX-License-Identifier: MIT
#include "core/large.h"

#include "buddy/huge.h"
#include "buddy/page_heap.h"
#include "core/bits.h"
#include "core/os.h"
#include "core/page_map.h"
#include "core/span.h"

#define LEARN_PARTS 4

// A few places tell whether the program has filled a block that held nothing; its ends alone do not, since
// many write a header and a trailer.
static bool is_filled(struct page_run block)
{
    bool filled = true;
    for (size_t part = LEARN_PARTS; part > 0 && filled; part--) {
        page_id page = {block.first.n + (uint32_t)(block.n * part / LEARN_PARTS) - 1};
        filled = os_resident_pages(page_address(page), 1) != 0;
    }
    return filled;
}

// The last fresh block of each thread, or of a few that share a place, as a recent_word, or 0. Relaxed:
// hints; a block may be gone when it is looked at.
#define WATCHED 16
static atomic_u64 watched[WATCHED];

// Threads' stacks are neighbours, mostly of a little more than a power of two bytes.
static atomic_u64 *watched_here(void) { return &watched[(os_thread_pointer() >> 12) % WATCHED]; }

// The thread comes for another one: it may have filled the one before. If it has not, that one's end will
// tell.
static NOINLINE void watch(page_id first, size_t pages)
{
    struct page_run before = recent_run(exchange_relaxed(watched_here(), recent_word(first, pages)));
    if (before.n != 0 && is_filled(before))
        huge_learn(true);
}

static NOINLINE void learn(struct span *span, page_id first, size_t pages)
{
    span->fresh = false;
    if (!huge_may_learn(pages))
        return;
    for (size_t i = 0; i < WATCHED; i++) {
        uint64_t mine = recent_word(first, pages);
        cas_relaxed(&watched[i], &mine, 0);
    }
    huge_learn(is_filled((struct page_run){first, pages}));
}

void large_watch(page_id first, size_t pages)
{
    if (huge_may_learn(pages))
        watch(first, pages);
}

void large_learn(page_id first, size_t pages)
{
    struct span *span = span_at(first);
    if (span->fresh)
        learn(span, first, pages);
}

// The descriptor is as large_free left it: the block's own, with as many pages.
void *large_alloc_recent(size_t size)
{
    struct page_run block = page_heap_take_recent(pages_for(size));
    if (unlikely(block.n == 0))
        return NULL;
    page_map_set(block.first, 1, PAGE_LARGE);
    return page_address(block.first);
}

void *large_alloc(size_t size, size_t align, bool *clean)
{
    size_t pages = max_size(1, pages_for(size));
    struct page_block block = page_heap_take(pages, max_size(align, PAGE_SIZE));
    *clean = block.clean;
    if (block.first.n == NO_PAGE.n)
        return NULL;
    span_make_large(block.first, pages, block.clean);
    if (block.clean && huge_may_learn(pages))
        watch(block.first, pages);
    return page_address(block.first);
}

void large_free(page_id first)
{
    struct span *span = span_at(first);
    size_t pages = load_relaxed(&span->pages);
    if (unlikely(span->fresh))
        learn(span, first, pages);
    page_map_set(first, 1, 0);
    page_heap_give_recent(first, pages);
}

size_t large_size(page_id first) { return (size_t)load_relaxed(&span_at(first)->pages) << PAGE_SHIFT; }

bool large_resize(page_id first, size_t size)
{
    struct span *span = span_at(first);
    size_t pages = load_relaxed(&span->pages);
    size_t wanted = max_size(1, pages_for(size));
    bool clean;
    if (wanted > pages && !page_heap_grow(first, pages, wanted, &clean))
        return false;
    if (wanted < pages)
        page_heap_give((page_id){first.n + (uint32_t)wanted}, pages - wanted);
    store_relaxed(&span->pages, (uint32_t)wanted);
    return true;
}
