// SPDX-License-Identifier: MIT
// Canaries: the last word of each slot tells, to who knows the heap's secret, whether the slot is in use, and
// with how many bytes; whatever runs over the end of a block breaks it. A slot's owner.
#ifndef TARN_CORE_CANARY_H
#define TARN_CORE_CANARY_H

#include "core/atomics.h"
#include "core/bits.h"
#include "core/harden.h"
#include "core/site.h"
#include "core/slot.h"
#include <string.h>

#define CANARY_BYTES sizeof(uint64_t)
#define CANARY_TINY (2 * CANARY_BYTES) // the smallest slot

//     block: size bytes │ pad: 0 or more, of which the first 16 and the last 8 are checked │ word
// The word is
//     live:   allocated << 48 | size << 32 | check        freed:  allocated << 48 | freed << 32 | check
// where allocated and freed are numbers of sites, and the check is a keyed hash of address, state and what
// stands above it. It lies lowest in memory, where an overrun comes first, and its lowest byte is never 0, as
// the end of a string is. Nothing but messages depends on what the word holds once it was found to be whole.
#define CANARY_PAD_WORD UINT64_C(0xc5c5c5c5c5c5c5c5)
#define CANARY_ALLOCATED_SHIFT 48
#define CANARY_SHIFT 32

enum canary_state {
    CANARY_LIVE,   // in use, with a size
    CANARY_FREED,  // freed, what is watched of the slot is zero
    CANARY_FRESH,  // a word of zeros: never used, or its memory has gone back to the kernel
    CANARY_BROKEN, // none of these
};

// What is wrong with a slot, or its size. *size is set for a live one.
enum canary_state canary_look(const void *p, size_t slot, size_t *size);
// Marks a slot of `slot` bytes as one that holds `size`, allocated at the site of that number; size +
// CANARY_BYTES <= slot. What the block holds stays.
void canary_set_size(void *p, size_t slot, size_t size, uint32_t site);
// What the slot says of its sites, as far as its word stands. None where there are no canaries.
struct sites canary_sites(const void *p, size_t slot);

// Of an address; the word for each size follows from it.
static inline uint64_t canary_hash(const void *p)
{
    return ((uintptr_t)p ^ sealed.secrets[0]) * sealed.secrets[1];
}

// `said` is what stands above the check, which is one half of these bits for a live slot, the other for a
// freed one. Times three, so that no single bit of it changes only the check's lowest, which is always set.
static inline uint32_t canary_check_live(uint64_t hash, uint64_t said)
{
    return (uint32_t)((hash >> CANARY_SHIFT) + 3 * said) | 1;
}

static inline uint32_t canary_check_freed(uint64_t hash, uint64_t said)
{
    return (uint32_t)(hash + 3 * said) | 1;
}

static inline uint64_t canary_word_live(uint64_t hash, uint64_t site, uint64_t size)
{
    uint64_t said = site << SITE_BITS | size;
    return said << CANARY_SHIFT | canary_check_live(hash, said);
}

// What was live says who allocated it.
static inline uint64_t canary_word_freed(uint64_t hash, uint64_t live_word, uint32_t site)
{
    uint64_t said = live_word >> CANARY_ALLOCATED_SHIFT << SITE_BITS | site;
    return said << CANARY_SHIFT | canary_check_freed(hash, said);
}

static inline bool canary_says_live(uint64_t word, uint64_t hash)
{
    return (uint32_t)word == canary_check_live(hash, word >> CANARY_SHIFT);
}

static inline bool canary_says_freed(uint64_t word, uint64_t hash)
{
    return (uint32_t)word == canary_check_freed(hash, word >> CANARY_SHIFT);
}

static inline size_t canary_size(uint64_t word) { return (size_t)(word >> CANARY_SHIFT & SITE_MASK); }

// Relaxed: two threads that free one block at once meet here, and later in the span's bitmap.
static inline atomic_u64 *canary_place(const void *p, size_t slot)
{
    return (atomic_u64 *)((uintptr_t)p + slot - CANARY_BYTES);
}

static inline uint64_t canary_load(const void *p, size_t at)
{
    uint64_t word;
    memcpy(&word, (const char *)p + at, sizeof word);
    return word;
}

static inline void canary_pad(void *p, size_t at)
{
    memcpy((char *)p + at, &(uint64_t){CANARY_PAD_WORD}, sizeof(uint64_t));
}

// The word before the canary, as far as it is no part of the block, and the two behind the block, which may
// overlap with it; where one would reach into the canary, it is that word. Sizes come in no order, so there
// is nothing to predict a branch by.
static inline __attribute__((always_inline)) bool canary_pad_stands(const void *p, size_t slot, size_t size)
{
    size_t last = slot - 2 * CANARY_BYTES, in_pad = min_size(size, last), in_block = size - in_pad;
    uint64_t off = canary_load(p, in_pad) ^ CANARY_PAD_WORD;
    off |= canary_load(p, min_size(in_pad + 8, last)) ^ CANARY_PAD_WORD;
    off |= canary_load(p, last) ^ CANARY_PAD_WORD;
    return off >> 4 * in_block >> 4 * in_block == 0;
}

// What the block holds is lost in part, and need not be kept: so the pad needs no exact start. One store for
// two words, and that after the last one's: what a free soon after this reads comes whole from one store
// then, as the processor wants it. In a slot of two words, CANARY_TINY, there is no room for that.
static inline void canary_set_live(void *p, size_t slot, size_t size, uint64_t hash, uint32_t site)
{
    size_t last = slot - 2 * CANARY_BYTES;
    canary_pad(p, last);
    if (likely(slot != CANARY_TINY))
        *(slot_any_chunk *)(void *)((char *)p + min_size(size, last - CANARY_BYTES)) =
            (slot_any_chunk){CANARY_PAD_WORD, CANARY_PAD_WORD};
    store_relaxed(canary_place(p, slot), canary_word_live(hash, site, size));
}

// True when `word`, the slot's, is that of a live one and nothing ran over the block's end.
static inline __attribute__((always_inline)) bool canary_is_live_word(const void *p, size_t slot,
                                                                      uint64_t hash, uint64_t word)
{
    return likely(canary_says_live(word, hash)) && likely(canary_size(word) <= slot - CANARY_BYTES) &&
           likely(canary_pad_stands(p, slot, canary_size(word)));
}

// The same for the slot as it is; *size is set then.
static inline bool canary_is_live(const void *p, size_t slot, uint64_t hash, size_t *size)
{
    uint64_t word = load_relaxed(canary_place(p, slot));
    *size = canary_size(word);
    return canary_is_live_word(p, slot, hash, word);
}

// Of a freed slot so much is cleared and looked at from its start on, and the sixteen bytes at its end: all
// of most slots. To read the whole of large ones would cost more than what the program does with them.
#define CANARY_WATCHED SLOT_CLEARED

// A slot is freed; `word` is canary_word_freed's. One for slots of at most SLOT_SHORT bytes, one for others.
static inline void canary_set_freed_short(void *p, size_t slot, uint64_t word)
{
    slot_clear_short(p, slot);
    store_relaxed(canary_place(p, slot), word);
}

static inline void canary_set_freed_long(void *p, size_t slot, uint64_t word)
{
    slot_clear_long(p, slot);
    *(slot_chunk *)(void *)((char *)p + slot - sizeof(slot_chunk)) = (slot_chunk){0};
    store_relaxed(canary_place(p, slot), word);
}

// True when what is watched of the slot holds zeros before its word.
static inline __attribute__((always_inline)) bool canary_is_clear(const void *p, size_t slot)
{
    if (unlikely(slot == CANARY_TINY))
        return canary_load(p, 0) == 0;
    if (slot <= SLOT_SHORT) {
        slot_chunk any = slot_bits_short(p, slot - CANARY_BYTES);
        return (any[0] | any[1]) == 0;
    }
    size_t before = slot - sizeof(slot_chunk);
    slot_chunk any = slot_bits_long(p, before);
    return (any[0] | any[1] | canary_load(p, before)) == 0;
}

// True when the slot is free, and nothing was written to it since.
static inline __attribute__((always_inline)) bool canary_is_free(const void *p, size_t slot, uint64_t hash)
{
    uint64_t word = load_relaxed(canary_place(p, slot));
    return (likely(canary_says_freed(word, hash)) || word == 0) && canary_is_clear(p, slot);
}

#endif
