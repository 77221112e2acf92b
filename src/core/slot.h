// SPDX-License-Identifier: MIT
// Clearing of slots, which are whole chunks of sixteen bytes at multiples of sixteen. A slot's owner.
#ifndef TARN_CORE_SLOT_H
#define TARN_CORE_SLOT_H

#include "core/bits.h"

typedef uint64_t slot_chunk __attribute__((vector_size(16), may_alias));

#define SLOT_SHORT ((size_t)128) // up to here stores in a row are quicker than a call

// A slot of at most SLOT_SHORT bytes. Chunks may be cleared twice: sizes come in no order, so a branch that
// saves stores would cost more than they do.
static inline void slot_clear_short(void *p, size_t slot)
{
    size_t last = slot / sizeof(slot_chunk) - 1;
    slot_chunk *chunks = p, zero = {0};
    chunks[0] = chunks[last] = zero;
    chunks[min_size(1, last)] = chunks[last - min_size(1, last)] = zero;
    if (last > 3)
        chunks[2] = chunks[3] = chunks[last - 2] = chunks[last - 3] = zero;
}

// How much of a longer slot is cleared, and with canaries looked at: all of most. More of large ones would
// cost more than all else that happens to them.
#define SLOT_CLEARED ((size_t)256)

static inline void slot_clear_half(void *p)
{
    slot_chunk *chunks = p;
    _Static_assert(SLOT_CLEARED == 2 * SLOT_SHORT && SLOT_SHORT == 8 * sizeof *chunks,
                   "two halves may overlap");
    chunks[0] = chunks[1] = chunks[2] = chunks[3] = (slot_chunk){0};
    chunks[4] = chunks[5] = chunks[6] = chunks[7] = (slot_chunk){0};
}

// No call, and no instruction for strings, which takes longer to begin than all of this.
static inline void slot_clear_long(void *p, size_t slot)
{
    slot_clear_half(p);
    slot_clear_half((char *)p + min_size(slot, SLOT_CLEARED) - SLOT_SHORT);
}

static inline slot_chunk slot_bits_of_half(const void *p)
{
    const slot_chunk *at = p;
    return ((at[0] | at[1]) | (at[2] | at[3])) | ((at[4] | at[5]) | (at[6] | at[7]));
}

// All bits of the first n bytes together; n is whole chunks. No loop, whose end is as hard to foretell as
// sizes.
static inline slot_chunk slot_bits(const void *p, size_t n)
{
    const slot_chunk *front = p, *back = front + n / sizeof *front;
    if (n >= SLOT_SHORT)
        return slot_bits_of_half(p) | slot_bits_of_half(back - 8);
    if (n == 0)
        return (slot_chunk){0};
    if (n < 4 * sizeof *front)
        return (front[0] | back[-1]) | front[n / sizeof *front / 2];
    return ((front[0] | front[1]) | (front[2] | front[3])) | ((back[-1] | back[-2]) | (back[-3] | back[-4]));
}

#endif
