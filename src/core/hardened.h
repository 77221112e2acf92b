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
void hardened_large_free(page_id first, const void *site);
// Notes the sites of such a block, or of a lone one.
void hardened_note_allocated(page_id first, const void *site);
void hardened_note_freed(page_id first, const void *site);
// Of such a block, or of the last one that started there; none where there are no canaries.
struct sites hardened_large_sites(page_id first);
// Such a block moves whenever its pages change.
bool hardened_large_resize(page_id first, size_t size);

// How much of a slot is zeroed when it is freed: whole small objects, and of larger ones what other objects'
// addresses mostly lie in. More of it would be most of the cost of a free. With canaries all of it is.
#define HARDENED_SLOT_ZEROED ((size_t)256)

// A slot of `slot` bytes is freed where there are no canaries; `self` is tcache_own, `entry` the page's.
void hardened_zeroed_free(void *p, size_t slot, struct tcache *self, uint32_t entry);

// --- With canaries.

// The class of a slot for so many bytes and their canary; 0 if there is none.
static inline unsigned hardened_slot_class(size_t align, size_t size)
{
    if (unlikely(size > SIZE_CLASS_MAX - CANARY_BYTES))
        return 0;
    return likely(align <= 16) ? size_class_of(size + CANARY_BYTES)
                               : size_class_aligned(size + CANARY_BYTES, align);
}

// A slot of `slot` bytes is handed out: nothing may have been written to it since it was freed.
void *hardened_slot_mark(void *p, size_t slot, size_t size, const void *site);
// p would be the start of a slot of that size, which is memory that can be read. Ends the process if p is no
// live block.
void hardened_canary_free(void *p, const void *site, struct tcache *self, size_t slot);

// At either level: ends the process if no block is in the slot, as far as can be seen.
static inline void hardened_slot_free(void *p, const void *site, struct tcache *self, size_t slot,
                                      uint32_t entry)
{
    if (has_canaries())
        hardened_canary_free(p, site, self, slot);
    else
        hardened_zeroed_free(p, slot, self, entry);
}
// How many bytes the block was made for. Ends the process if p is no live block, or was run over.
size_t hardened_slot_size(const void *p, unsigned cls);
// Changes that size where the block stands, in a slot that can hold it.
void hardened_slot_resize(void *p, unsigned cls, size_t size, const void *site);

#endif
