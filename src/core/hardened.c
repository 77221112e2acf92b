// SPDX-License-Identifier: MIT
#include "core/hardened.h"

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

static void *take_guarded(struct extent extent, size_t align_pages, bool *clean, const void *site)
{
    size_t pages = extent.pages;
    struct page_run run = {NO_PAGE, 0};
    if (align_pages == 1)
        run = page_heap_take_guarded(pages + 2);
    if (run.n != 0)
        return make_block(behind(run.first, 1), extent, false, true, site);
    run = take_run(pages + 2, align_pages, clean);
    if (run.n == 0)
        return NULL;
    bool guarded = guard_raise_ends(run.first, run.n);
    if (!guarded) {
        page_heap_give(run.first, 1);
        page_heap_give(behind(run.first, run.n - 1), 1);
    }
    return make_block(behind(run.first, 1), extent, *clean, guarded, site);
}

// Where there are no guards, sizes need not be few.
static size_t pages_of_block(size_t size)
{
    size_t pages = max_size(1, pages_for(size));
    return guard_is_possible() ? recent_guarded_size(pages) : pages;
}

void *hardened_large_alloc(size_t size, size_t align, bool *clean, const void *site)
{
    struct extent extent = {pages_of_block(size), pages_for(size)};
    *clean = false;
    if (guard_is_possible())
        return take_guarded(extent, max_size(1, align >> PAGE_SHIFT), clean, site);
    struct page_block block = page_heap_take(extent.pages, max_size(align, PAGE_SIZE));
    *clean = block.clean;
    return block.first.n == NO_PAGE.n ? NULL : make_block(block.first, extent, *clean, false, site);
}

void hardened_large_free(page_id first, const void *site)
{
    struct span *span = span_at(first);
    hardened_note_freed(first, site);
    large_learn(first, load_relaxed(&span->asked));
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

struct sites hardened_large_sites(page_id first)
{
    struct span *span = span_at(first);
    uint32_t sites = has_canaries() && span->cls == 0 ? load_relaxed(&span->sites) : 0;
    if (sites == 0)
        return NO_SITES;
    return (struct sites){site_address(sites >> SITE_BITS), site_address(sites & SITE_MASK)};
}

// --- Slots.

static NOINLINE void free_slowly(void *p, uint32_t entry)
{
    struct span *span = span_of_page(page_of(p));
    if (span_slot_is_free(span, span_slot_of(entry_class(entry), p, span_start(span))))
        misuse_double_free(p, NO_SITES);
    tcache_overflow(p, entry);
}

static inline bool push_quickly(struct tcache *self, void *p, uint32_t entry)
{
    uint32_t field = entry - self->tag;
    return likely(
        bin_push(likely(field <= PAGE_CLASS_MASK) ? bin_at(self, field) : bin_away(self, entry), p));
}

static inline void push(struct tcache *self, void *p, uint32_t entry)
{
    if (!push_quickly(self, p, entry))
        free_slowly(p, entry);
}

static inline void zero_half(void *p)
{
    slot_chunk *chunks = p;
    _Static_assert(HARDENED_SLOT_ZEROED == 2 * SLOT_SHORT && SLOT_SHORT == 8 * sizeof *chunks,
                   "two halves may overlap");
    chunks[0] = chunks[1] = chunks[2] = chunks[3] = (slot_chunk){0};
    chunks[4] = chunks[5] = chunks[6] = chunks[7] = (slot_chunk){0};
}

// No call, and no instruction for strings, which takes longer to begin than all of this.
static NOINLINE void free_long(void *p, size_t slot, struct tcache *self, uint32_t entry)
{
    zero_half(p);
    zero_half((char *)p + min_size(slot, HARDENED_SLOT_ZEROED) - HARDENED_SLOT_ZEROED / 2);
    push(self, p, entry);
}

void hardened_zeroed_free(void *p, size_t slot, struct tcache *self, uint32_t entry)
{
    if (unlikely(slot > SLOT_SHORT)) {
        free_long(p, slot, self, entry);
        return;
    }
    slot_clear_short(p, slot);
    push(self, p, entry);
}

// --- Slots with canaries:  fresh or freed -> live -> freed, quarantine -> the caches.

// p is no slot's start, or no live one's, or its block was run over.
static _Noreturn NOINLINE void reject(const void *p, size_t slot)
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

static NOINLINE void retire_slowly(void *p) { tcache_overflow(p, page_entry(page_of(p))); }

// What leaves the quarantine goes to the cache. It is no double free: that was found before.
static inline void retire(struct tcache *self, struct quarantine *quarantine, void *p, size_t slot)
{
    void *left = quarantine_exchange(quarantine, p, slot);
    if (left == NULL)
        return;
    uint32_t entry = load_relaxed(&self->entries[((uintptr_t)left - self->base) >> PAGE_SHIFT]);
    uint32_t field = entry - self->tag;
    if (!bin_put(likely(field <= PAGE_CLASS_MASK) ? bin_at(self, field) : bin_away(self, entry), left))
        retire_slowly(left);
}

static inline void free_at(void *p, uint32_t site, struct tcache *self, size_t slot)
{
    uint64_t hash = canary_hash(p);
    size_t size;
    if (unlikely(!canary_is_live(p, slot, hash, &size)))
        reject(p, slot);
    canary_set_freed(p, slot, hash, site);
    struct quarantine *quarantine = load_relaxed(&self->quarantine);
    if (likely(quarantine != NULL))
        retire(self, quarantine, p, slot);
    else
        retire_slowly(p);
}

static NOINLINE void free_at_displaced(void *p, const void *site, struct tcache *self, size_t slot)
{
    free_at(p, site_number(site), self, slot);
}

// The rare half is a function of its own, so that this one saves no registers.
void hardened_canary_free(void *p, const void *site, struct tcache *self, size_t slot)
{
    if (site_is_at_first_place(site))
        free_at(p, site_first_place((uintptr_t)site), self, slot);
    else
        free_at_displaced(p, site, self, slot);
}

static inline void *mark_at(void *p, size_t slot, size_t size, uint32_t site)
{
    uint64_t hash = canary_hash(p);
    if (unlikely(!canary_is_free(p, slot, hash)))
        misuse_written_after_free(p, slot, canary_sites(p, slot));
    canary_set_live(p, slot, size, hash, site);
    return p;
}

static NOINLINE void *mark_at_displaced(void *p, size_t slot, size_t size, const void *site)
{
    return mark_at(p, slot, size, site_number(site));
}

void *hardened_slot_mark(void *p, size_t slot, size_t size, const void *site)
{
    return site_is_at_first_place(site) ? mark_at(p, slot, size, site_first_place((uintptr_t)site))
                                        : mark_at_displaced(p, slot, size, site);
}

size_t hardened_slot_size(const void *p, unsigned cls)
{
    size_t size, slot = size_class_size(cls);
    if (unlikely(!canary_is_live(p, slot, canary_hash(p), &size)))
        reject(p, slot);
    return size;
}

void hardened_slot_resize(void *p, unsigned cls, size_t size, const void *site)
{
    canary_set_size(p, size_class_size(cls), size, site_number(site));
}
