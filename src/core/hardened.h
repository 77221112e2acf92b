// SPDX-License-Identifier: MIT
// What malloc and free do instead where the heap is hardened (core/harden.h).
// Any thread; a block's owner for what changes or ends it.
#ifndef TARN_CORE_HARDENED_H
#define TARN_CORE_HARDENED_H

#include "core/canary.h"
#include "core/ids.h"
#include "core/size_class.h"
#include "tcache/tcache.h"

// How much of a large block is zeroed when it is freed: all of it would cost more than the rest of its life.
// What lies behind is zeroed by going back to the kernel, unless it is handed out before.
#define HARDENED_ZEROED ((size_t)4096)

// Where a function takes a site, it is that of the call which allocates or frees.
//
// A large block between guards, or without where there are guards enough. As large_alloc.
void *hardened_large_alloc(size_t size, size_t align, bool *clean, const void *site);
// One that was freed a moment ago, and its descriptor as it was left; NULL when there is none of that size.
void *hardened_large_recent(size_t size, const void *site);
void hardened_large_free(page_id first, const void *site);
// Notes the sites of such a block, or of a lone one.
void hardened_note_allocated(page_id first, const void *site);
void hardened_note_freed(page_id first, const void *site);
// Of such a block, or of the last one that started there; none where there are no canaries.
struct sites hardened_large_sites(page_id first);
// As large_move.
bool hardened_large_move(page_id from, page_id to, const void *site);
// A block between guards can grow into free pages behind it, unless one that waits between guards would do;
// any other moves whenever its pages change.
bool hardened_large_resize(page_id first, size_t size);

// --- Slots, of `slot` bytes; `self` is tcache_own, `entry` the page's.
//
// What is inline here makes up the middle of malloc and free, and calls only what is rare, or long, and then
// at its end.

// The slow half of a free without canaries. Ends the process if the slot is free.
void hardened_push_slowly(void *p, uint32_t entry);

static inline void hardened_push(void *p, struct tcache *self, uint32_t entry)
{
    if (unlikely(!bin_push(bin_of(self, entry), p)))
        hardened_push_slowly(p, entry);
}

// A slot is freed where there are no canaries: one of at most SLOT_SHORT bytes, another one, any.
static inline void hardened_zeroed_free_short(void *p, struct tcache *self, uint32_t entry)
{
    slot_clear_short(p, entry_class(entry) * sizeof(slot_chunk));
    hardened_push(p, self, entry);
}

static inline void hardened_zeroed_free_long(void *p, struct tcache *self, uint32_t entry)
{
    slot_clear_long(p, size_class_size(entry_class(entry)));
    hardened_push(p, self, entry);
}

static inline void hardened_zeroed_free(void *p, struct tcache *self, uint32_t entry)
{
    if (entry_class(entry) <= SLOT_SHORT_CHUNKS)
        hardened_zeroed_free_short(p, self, entry);
    else
        hardened_zeroed_free_long(p, self, entry);
}

// --- With canaries.

// The class of a slot for so many bytes and their canary; 0 if there is none.
static inline unsigned hardened_slot_class(size_t align, size_t size)
{
    if (unlikely(size > SIZE_CLASS_MAX - CANARY_BYTES))
        return 0;
    return likely(align <= 16) ? size_class_of(size + CANARY_BYTES)
                               : size_class_aligned(size + CANARY_BYTES, align);
}

// p is no slot's start, or no live one's, or its block was run over: which of these, and the end.
_Noreturn void hardened_reject(const void *p, size_t slot);
// The slot was written to while it was free.
_Noreturn void hardened_reject_written(const void *p, size_t slot);
void hardened_retire_slowly(void *p);

// What leaves the quarantine goes to the cache. It is no double free: that was found before.
static inline void hardened_retire(void *p, size_t slot, struct tcache *self)
{
    struct quarantine *quarantine = load_relaxed(&self->quarantine);
    if (unlikely(quarantine == NULL)) {
        hardened_retire_slowly(p);
        return;
    }
    void *left = quarantine_exchange(quarantine, p, slot);
    if (left == NULL)
        return;
    uint32_t entry = load_relaxed(&self->entries[((uintptr_t)left - self->base) >> PAGE_SHIFT]);
    if (unlikely(!bin_put(bin_of(self, entry), left)))
        hardened_retire_slowly(left);
}

void hardened_canary_free_displaced(void *p, const void *site, size_t slot, struct tcache *self);

static inline __attribute__((always_inline)) void hardened_canary_free_at(void *p, uint32_t site, size_t slot,
                                                                          struct tcache *self)
{
    uint64_t hash = canary_hash(p), word = load_relaxed(canary_place(p, slot));
    uint64_t freed = canary_word_freed(hash, word, site); // early, so that few registers are needed below
    if (unlikely(!canary_is_live_word(p, slot, hash, word)))
        hardened_reject(p, slot);
    if (slot > SLOT_SHORT)
        canary_set_freed_long(p, slot, freed);
    else
        canary_set_freed_short(p, slot, freed);
    hardened_retire(p, slot, self);
}

// p would be the start of a slot of that size, which is memory that can be read. Ends the process if p is no
// live block.
static inline __attribute__((always_inline)) void hardened_canary_free(void *p, const void *site, size_t slot,
                                                                       struct tcache *self)
{
    if (site_is_at_first_place(site))
        hardened_canary_free_at(p, site_first_place((uintptr_t)site), slot, self);
    else
        hardened_canary_free_displaced(p, site, slot, self);
}

void *hardened_slot_mark_displaced(void *p, size_t slot, size_t size, const void *site);

static inline __attribute__((always_inline)) void *hardened_slot_mark_at(void *p, size_t slot, size_t size,
                                                                         uint32_t site)
{
    uint64_t hash = canary_hash(p);
    if (unlikely(!canary_is_free(p, slot, hash)))
        hardened_reject_written(p, slot);
    canary_set_live(p, slot, size, hash, site);
    return p;
}

// A slot is handed out: nothing may have been written to it since it was freed.
static inline __attribute__((always_inline)) void *hardened_slot_mark(void *p, size_t slot, size_t size,
                                                                      const void *site)
{
    return site_is_at_first_place(site)
               ? hardened_slot_mark_at(p, slot, size, site_first_place((uintptr_t)site))
               : hardened_slot_mark_displaced(p, slot, size, site);
}

// At either level: ends the process if no block is in the slot, as far as can be seen.
static inline void hardened_slot_free(void *p, const void *site, struct tcache *self, size_t slot,
                                      uint32_t entry)
{
    if (has_canaries())
        hardened_canary_free(p, site, slot, self);
    else
        hardened_zeroed_free(p, self, entry);
}
// How many bytes the block was made for. Ends the process if p is no live block, or was run over.
size_t hardened_slot_size(const void *p, unsigned cls);
// Changes that size where the block stands, in a slot that can hold it.
void hardened_slot_resize(void *p, unsigned cls, size_t size, const void *site);

#endif
