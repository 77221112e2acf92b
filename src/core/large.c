// SPDX-License-Identifier: MIT
#include "core/large.h"

#include "buddy/page_heap.h"
#include "core/bits.h"
#include "core/page_map.h"
#include "core/span.h"

void *large_alloc_recent(size_t size)
{
    struct page_run block = page_heap_take_recent(pages_for(size));
    if (unlikely(block.n == 0))
        return NULL;
    span_make_large(block.first, block.n);
    return page_address(block.first);
}

void *large_alloc(size_t size, size_t align, bool *clean)
{
    size_t pages = max_size(1, pages_for(size));
    struct page_block block = page_heap_take(pages, max_size(align, PAGE_SIZE));
    *clean = block.clean;
    if (block.first.n == NO_PAGE.n)
        return NULL;
    span_make_large(block.first, pages);
    return page_address(block.first);
}

void large_free(page_id first)
{
    size_t pages = load_relaxed(&span_at(first)->pages);
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
