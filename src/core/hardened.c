// SPDX-License-Identifier: MIT
#include "core/hardened.h"

#include "buddy/huge.h"
#include "buddy/page_heap.h"
#include "core/bits.h"
#include "core/guard.h"
#include "core/large.h"
#include "core/misuse.h"
#include "core/page_map.h"
#include "core/span.h"
#include <string.h>

// --- Large blocks:  guard, pages, guard.  The block's page map entry is that of its first page behind the
// guard.

// Large blocks begin where a huge page can. The guard before them lies in the range before, which others use.
static struct page_block take_behind_guard(size_t n, size_t align_pages, bool fills)
{
    if (n > HUGE_PAGES)
        return page_heap_take_second(n, max_size(align_pages, HUGE_PAGES), fills);
    return align_pages == 1 ? page_heap_take(n, PAGE_SIZE) : page_heap_take_second(n, align_pages, false);
}

void hardened_note_allocated(page_id first, const void *site)
{
    struct span *span = span_at(first);
    span->cls = 0;
    store_relaxed(&span->sites, has_canaries() ? site_number(site) << SITE_BITS : 0);
}

void hardened_note_freed(page_id first, const void *site)
{
    struct span *span = span_at(first);
    if (has_canaries())
        store_relaxed(&span->sites, load_relaxed(&span->sites) | site_number(site));
}

// What the block holds, and how much of it was asked for: in pages.
struct extent {
    size_t pages, asked;
};

static void *make_block(page_id first, struct extent extent, bool fresh, bool guarded, const void *site)
{
    struct span *span = span_make_large(first, extent.pages, fresh);
    store_relaxed(&span->guarded, guarded);
    store_relaxed(&span->asked, (uint32_t)extent.asked);
    if (fresh)
        large_watch(first, extent.asked);
    hardened_note_allocated(first, site);
    page_map_set(first, 1, PAGE_HARDENED);
    return page_address(first);
}

// The first n pages of a larger one that waits hold memory, which a fresh block would have to be given.
static struct page_run cut_larger(size_t n)
{
    struct page_run run = page_heap_take_guarded_above(n);
    if (run.n == 0)
        return run;
    if (!guard_raise(page_behind(run.first, n - 1), 1)) {
        page_heap_give_guarded(run.first, run.n);
        return (struct page_run){NO_PAGE, 0};
    }
    size_t rest = run.n - n;
    guard_lift_tail(page_behind(run.first, n), &rest);
    if (rest != 0)
        page_heap_give(page_behind(run.first, n), rest);
    return (struct page_run){run.first, n};
}

static struct page_run take_waiting(size_t n)
{
    struct page_run run = page_heap_take_guarded(n);
    return run.n == 0 && n > HUGE_PAGES && huge_blocks_are_filled() ? cut_larger(n) : run;
}

static void *take_guarded(struct extent extent, size_t align_pages, bool fills, bool *clean, const void *site)
{
    size_t pages = extent.pages;
    struct page_run run = {NO_PAGE, 0};
    if (align_pages == 1)
        run = take_waiting(pages + 2);
    if (run.n != 0)
        return make_block(page_behind(run.first, 1), extent, false, true, site);
    struct page_block block = take_behind_guard(pages + 2, align_pages, fills);
    if (block.first.n == NO_PAGE.n)
        return NULL;
    *clean = block.clean;
    run = (struct page_run){block.first, pages + 2};
    bool guarded = guard_raise_ends(run.first, run.n);
    if (!guarded) {
        page_heap_give(run.first, 1);
        page_heap_give(page_behind(run.first, run.n - 1), 1);
    }
    return make_block(page_behind(run.first, 1), extent, *clean, guarded, site);
}

// Where there are no guards, sizes need not be few.
static size_t pages_of_block(size_t size)
{
    size_t pages = max_size(1, pages_for(size));
    return guard_is_possible() ? recent_guarded_size(pages) : pages;
}

void *hardened_large_recent(size_t size, const void *site)
{
    size_t asked = pages_for(size);
    struct page_run run = page_heap_take_guarded(recent_guarded_size(asked) + 2);
    if (run.n == 0)
        return NULL;
    page_id first = page_behind(run.first, 1);
    store_relaxed(&span_at(first)->asked, (uint32_t)asked);
    hardened_note_allocated(first, site);
    page_map_set(first, 1, PAGE_HARDENED);
    return page_address(first);
}

void *hardened_large_alloc(size_t size, size_t align, bool *clean, const void *site)
{
    struct extent extent = {pages_of_block(size), pages_for(size)};
    bool unused, fills = clean == NULL;
    if (fills)
        clean = &unused;
    *clean = false;
    if (guard_is_possible())
        return take_guarded(extent, max_size(1, align >> PAGE_SHIFT), fills, clean, site);
    struct page_block block = page_heap_take(extent.pages, max_size(align, PAGE_SIZE));
    *clean = block.clean;
    return block.first.n == NO_PAGE.n ? NULL : make_block(block.first, extent, *clean, false, site);
}

// By the C library, which knows the widest stores: of a size that they know compilers make instructions for
// strings.
static void zero_start(void *p)
{
    size_t size = HARDENED_ZEROED;
    _Static_assert(HARDENED_ZEROED <= PAGE_SIZE, "the smallest large block has as much");
    __asm__("" : "+r"(size));
    memset(p, 0, size);
}

void hardened_large_free(page_id first, const void *site)
{
    struct span *span = span_at(first);
    hardened_note_freed(first, site);
    large_learn(first, load_relaxed(&span->asked));
    size_t pages = load_relaxed(&span->pages);
    page_map_set(first, 1, 0);
    zero_start(page_address(first));
    if (load_relaxed(&span->guarded))
        page_heap_give_guarded((page_id){first.n - 1}, pages + 2);
    else
        page_heap_give(first, pages);
}

// The guards come down: while blocks grow, one of this size is not what comes next.
static void end_moved(page_id from, size_t pages, page_id to)
{
    struct page_run run = {(page_id){from.n - 1}, pages + 2};
    guard_lift_ends(&run.first, &run.n);
    if (page_behind(run.first, run.n).n > from.n + pages)
        page_heap_give(page_behind(from, pages), 1);
    if (run.first.n < from.n)
        page_heap_give(run.first, 1);
    page_heap_move(from, pages, to, load_relaxed(&span_at(to)->pages), HARDENED_ZEROED);
}

bool hardened_large_move(page_id from, page_id to, const void *site)
{
    struct span *span = span_at(from);
    size_t pages = load_relaxed(&span->pages);
    if (!load_relaxed(&span->guarded) || !huge_begins(from) || !huge_begins(to) ||
        !large_pays_to_move(to, pages))
        return false;
    hardened_note_freed(from, site);
    large_learn(from, load_relaxed(&span->asked));
    page_map_set(from, 1, 0);
    end_moved(from, pages, to);
    return true;
}

// The guard behind the block moves along.
static bool grow_guarded(page_id first, size_t pages, size_t wanted)
{
    bool clean;
    size_t more = wanted - pages;
    if (!page_heap_grow(first, pages + 1, wanted + 1, &clean))
        return false;
    bool moved = guard_move_tail(first, pages + 1, &more);
    if (!moved)
        page_heap_give(page_behind(first, pages + 1), more);
    return moved;
}

// What waits holds memory that nobody uses. To grow in its stead would leave it there, and add to it in the
// end.
static bool can_grow(const struct span *span, size_t wanted)
{
    return wanted > load_relaxed(&span->pages) && load_relaxed(&span->guarded) &&
           !page_heap_has_guarded(wanted + 2);
}

bool hardened_large_resize(page_id first, size_t size)
{
    struct span *span = span_at(first);
    size_t pages = load_relaxed(&span->pages), wanted = pages_of_block(size);
    if (wanted != pages && !(can_grow(span, wanted) && grow_guarded(first, pages, wanted)))
        return false;
    store_relaxed(&span->pages, (uint32_t)wanted);
    store_relaxed(&span->asked, (uint32_t)pages_for(size));
    return true;
}

struct sites hardened_large_sites(page_id first)
{
    struct span *span = span_at(first);
    uint32_t sites = has_canaries() && span->cls == 0 ? load_relaxed(&span->sites) : 0;
    if (sites == 0)
        return NO_SITES;
    return (struct sites){site_address(sites >> SITE_BITS), site_address(sites & SITE_MASK)};
}

// --- Slots.

void hardened_push_slowly(void *p, uint32_t entry)
{
    struct span *span = span_of_page(page_of(p));
    if (span_slot_is_free(span, span_slot_of(entry_class(entry), p, span_start(span))))
        misuse_double_free(p, NO_SITES);
    tcache_overflow(p, entry);
}

// --- Slots with canaries:  fresh or freed -> live -> freed, quarantine -> the caches.

void hardened_reject(const void *p, size_t slot)
{
    size_t size;
    page_id page = page_of(p);
    unsigned cls = entry_class(page_entry(page));
    if (span_slot_of(cls, p, (uintptr_t)page_address(span_first_page(page))) == SIZE_MAX)
        span_reject("free", p, page, cls);
    if (canary_look(p, slot, &size) == CANARY_BROKEN)
        misuse_overrun(p, slot, canary_sites(p, slot));
    misuse_double_free(p, canary_sites(p, slot));
}

void hardened_reject_written(const void *p, size_t slot)
{
    misuse_written_after_free(p, slot, canary_sites(p, slot));
}

void hardened_retire_slowly(void *p) { tcache_overflow(p, page_entry(page_of(p))); }

void hardened_canary_free_displaced(void *p, const void *site, size_t slot, struct tcache *self)
{
    hardened_canary_free_at(p, site_number(site), slot, self);
}

void *hardened_slot_mark_displaced(void *p, size_t slot, size_t size, const void *site)
{
    return hardened_slot_mark_at(p, slot, size, site_number(site));
}

size_t hardened_slot_size(const void *p, unsigned cls)
{
    size_t size, slot = size_class_size(cls);
    if (unlikely(!canary_is_live(p, slot, canary_hash(p), &size)))
        hardened_reject(p, slot);
    return size;
}

void hardened_slot_resize(void *p, unsigned cls, size_t size, const void *site)
{
    canary_set_size(p, size_class_size(cls), size, site_number(site));
}
