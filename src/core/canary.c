// SPDX-License-Identifier: MIT
#include "core/canary.h"

#include "core/size_class.h"

void canary_set_size(void *p, size_t slot, size_t size, uint32_t site)
{
    size_t last = slot - 2 * CANARY_BYTES, pad = slot - CANARY_BYTES - size;
    memset((char *)p + size, (int)(CANARY_PAD_WORD & 0xff), min_size(pad, 2 * CANARY_BYTES));
    if (size < last)
        canary_pad(p, last);
    store_relaxed(canary_place(p, slot), canary_word_live(canary_hash(p), site, size));
}

enum canary_state canary_look(const void *p, size_t slot, size_t *size)
{
    uint64_t word = load_relaxed(canary_place(p, slot)), hash = canary_hash(p);
    if (canary_is_live(p, slot, hash, size))
        return CANARY_LIVE;
    if (word == 0)
        return CANARY_FRESH;
    return canary_says_freed(word, hash) ? CANARY_FREED : CANARY_BROKEN;
}

// What ran over the check alone left the rest; that is believed where the size is one for such a slot, or
// for one that realloc left room in, a quarter at most.
static bool says_size(uint64_t word, size_t slot)
{
    size_t needed = canary_size(word) + CANARY_BYTES, most = min_size(needed + needed / 4, SIZE_CLASS_MAX);
    return needed <= slot && size_class_size(size_class_of(most)) >= slot;
}

struct sites canary_sites(const void *p, size_t slot)
{
    if (!has_canaries())
        return NO_SITES;
    uint64_t word = load_relaxed(canary_place(p, slot)), hash = canary_hash(p);
    const void *allocated = site_address((uint32_t)(word >> CANARY_ALLOCATED_SHIFT));
    if (canary_says_freed(word, hash))
        return (struct sites){allocated, site_address((uint32_t)(word >> CANARY_SHIFT) & SITE_MASK)};
    return canary_says_live(word, hash) || says_size(word, slot) ? (struct sites){allocated, NULL} : NO_SITES;
}
