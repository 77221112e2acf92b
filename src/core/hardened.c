// SPDX-License-Identifier: MIT
#include "core/hardened.h"

#include "buddy/page_heap.h"
#include "core/bits.h"
#include "core/canary.h"
#include "core/central.h"
#include "core/guard.h"
#include "core/misuse.h"
#include "core/page_map.h"
#include "core/quarantine.h"
#include "core/span.h"
#include "tcache/tcache.h"
#include <string.h>

// --- Large blocks:  guard, pages, guard.  The block's page map entry is that of its first page behind the
// guard.

static page_id behind(page_id page, size_t n) { return (page_id){page.n + (uint32_t)n}; }

// A run of n pages whose second one is aligned: what lies before the first goes back.
static struct page_run take_run(size_t n, size_t align_pages, bool *clean)
{
    size_t before = align_pages - 1;
    struct page_block block = page_heap_take(n + before, align_pages << PAGE_SHIFT);
    *clean = block.clean;
    if (block.first.n == NO_PAGE.n)
        return (struct page_run){NO_PAGE, 0};
    if (before != 0)
        page_heap_give(block.first, before);
    return (struct page_run){behind(block.first, before), n};
}

static void *make_block(page_id first, size_t pages, bool guarded)
{
    struct span *span = span_make_large(first, pages, false);
    store_relaxed(&span->guarded, guarded);
    page_map_set(first, 1, PAGE_HARDENED);
    return page_address(first);
}

static void *take_guarded(size_t pages, size_t align_pages, bool *clean)
{
    struct page_run run = {NO_PAGE, 0};
    if (align_pages == 1)
        run = page_heap_take_guarded(pages + 2);
    if (run.n != 0)
        return make_block(behind(run.first, 1), run.n - 2, true);
    run = take_run(pages + 2, align_pages, clean);
    if (run.n == 0)
        return NULL;
    bool guarded = guard_raise_ends(run.first, run.n);
    if (!guarded) {
        page_heap_give(run.first, 1);
        page_heap_give(behind(run.first, run.n - 1), 1);
    }
    return make_block(behind(run.first, 1), pages, guarded);
}

// Under a limit on address space there are no guards.
static size_t pages_of_block(size_t size)
{
    size_t pages = max_size(1, pages_for(size));
    return page_map_is_reserved() ? recent_guarded_size(pages) : pages;
}

void *hardened_large_alloc(size_t size, size_t align, bool *clean)
{
    size_t pages = pages_of_block(size);
    *clean = false;
    if (page_map_is_reserved())
        return take_guarded(pages, max_size(1, align >> PAGE_SHIFT), clean);
    struct page_block block = page_heap_take(pages, max_size(align, PAGE_SIZE));
    *clean = block.clean;
    return block.first.n == NO_PAGE.n ? NULL : make_block(block.first, pages, false);
}

void hardened_large_free(page_id first)
{
    struct span *span = span_at(first);
    size_t pages = load_relaxed(&span->pages);
    page_map_set(first, 1, 0);
    memset(page_address(first), 0, min_size(HARDENED_ZEROED, pages * PAGE_SIZE));
    if (load_relaxed(&span->guarded))
        page_heap_give_guarded((page_id){first.n - 1}, pages + 2);
    else
        page_heap_give(first, pages);
}

bool hardened_large_resize(page_id first, size_t size)
{
    return pages_of_block(size) == load_relaxed(&span_at(first)->pages);
}

// --- Slots.

typedef uint64_t sixteen __attribute__((vector_size(16), may_alias));

// Slots are whole sixteens of bytes at multiples of sixteen; those from the front and those from the back may
// meet.
static inline void zero_slot(void *p, size_t size)
{
    size = min_size(size, HARDENED_SLOT_ZEROED);
    sixteen *front = p, *back = front + size / sizeof *front;
    front[0] = back[-1] = (sixteen){0};
    if (size <= 32)
        return;
    front[1] = back[-2] = (sixteen){0};
    if (size <= 64)
        return;
    front[2] = front[3] = back[-3] = back[-4] = (sixteen){0};
    if (size > 128)
        memset(front + 4, 0, size - 128);
}

static inline bool is_slot(unsigned cls, const void *p, page_id page)
{
    bool one_page = size_class_table[cls].pages == 1;
    page_id first = one_page ? page : span_first_page(page);
    return span_slot_of(cls, p, (uintptr_t)page_address(first)) != SIZE_MAX;
}

bool hardened_slot_free_quick(void *p, page_id page, uint32_t entry)
{
    struct tcache *self = tcache_self;
    uint32_t field = entry - self->tag;
    if (unlikely(!is_slot(entry_class(entry), p, page)))
        return false;
    zero_slot(p, size_class_size(entry_class(entry)));
    return bin_push(field <= PAGE_CLASS_MASK ? bin_at(self, field) : bin_away(self, entry), p);
}

void hardened_slot_free(void *p, uint32_t entry)
{
    struct span *span = span_of_page(page_of(p));
    if (span_slot_is_free(span, span_slot_of(entry_class(entry), p, span_start(span))))
        misuse_double_free(p);
    zero_slot(p, size_class_size(entry_class(entry)));
    tcache_overflow(p, entry);
}

// --- Slots with canaries:  fresh or freed -> live -> freed, quarantine -> the caches.

unsigned hardened_slot_class(size_t align, size_t size)
{
    if (size > SIZE_CLASS_MAX - CANARY_BYTES)
        return 0;
    return align <= 16 ? size_class_of(size + CANARY_BYTES) : size_class_aligned(size + CANARY_BYTES, align);
}

void *hardened_slot_mark(void *p, unsigned cls, size_t size)
{
    size_t slot = size_class_size(cls), before;
    enum canary_state state = canary_look(p, slot, &before);
    if (unlikely(state == CANARY_LIVE || state == CANARY_BROKEN || !canary_is_clear(p, slot)))
        misuse_written_after_free(p, slot);
    canary_set_live(p, slot, size);
    return p;
}

size_t hardened_slot_size(const void *p, unsigned cls)
{
    size_t size;
    switch (canary_look(p, size_class_size(cls), &size)) {
    case CANARY_LIVE:
        return size;
    case CANARY_BROKEN:
        misuse_overrun(p, size_class_size(cls));
    default:
        misuse_double_free(p);
    }
}

void hardened_slot_resize(void *p, unsigned cls, size_t size)
{
    canary_set_live(p, size_class_size(cls), size);
}

void hardened_slot_retire(void *p, unsigned cls)
{
    hardened_slot_size(p, cls);
    canary_set_freed(p, size_class_size(cls));
    void *left = quarantine_exchange(p, cls);
    if (left != NULL)
        tcache_overflow(left, page_entry(page_of(left)));
}

void hardened_collect(void)
{
    size_t from = 0;
    for (void *p; (p = quarantine_next(&from)) != NULL;)
        central_give(entry_class(page_entry(page_of(p))), &p, 1);
}
