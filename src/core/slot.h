// SPDX-License-Identifier: MIT
// Clearing of slots, which are whole chunks of sixteen bytes at multiples of sixteen, and looking whether
// they are clear. A slot's owner.
#ifndef TARN_CORE_SLOT_H
#define TARN_CORE_SLOT_H

#include "core/bits.h"

typedef uint64_t slot_chunk __attribute__((vector_size(16), may_alias));
typedef slot_chunk slot_any_chunk __attribute__((aligned(1))); // at any address

// Slots of up to so many bytes are cleared, and looked at, in eight steps of sixteen bytes each without a
// branch: sizes come in no order. Their classes are numbered by their chunks, so a page's entry tells all
// that is needed.
#define SLOT_SHORT ((size_t)128)
#define SLOT_SHORT_CHUNKS (SLOT_SHORT / sizeof(slot_chunk))

// How far apart seven of eight steps are, from the first byte on, that with an eighth at `last` <= 112 leave
// nothing out between the two, nor reach beyond: 6 * step <= last <= 6 * step + 16, step <= 16, where `last`
// is a multiple of eight.
static inline size_t slot_step(size_t last) { return last * 19 >> 7; }

static inline char *slot_clear_step(char *at, size_t step)
{
    *(slot_any_chunk *)(void *)at = (slot_any_chunk){0};
    return at + step;
}

// A slot of at most SLOT_SHORT bytes.
static inline void slot_clear_short(void *p, size_t slot)
{
    size_t last = slot - sizeof(slot_chunk), step = slot_step(last);
    char *at = slot_clear_step(p, step);
    at = slot_clear_step(at, step);
    at = slot_clear_step(at, step);
    at = slot_clear_step(at, step);
    at = slot_clear_step(at, step);
    at = slot_clear_step(at, step);
    slot_clear_step(at, step);
    slot_clear_step((char *)p + last, step);
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

// All bits of the first n bytes together; whole chunks, at least SLOT_SHORT, of which SLOT_CLEARED are looked
// at.
static inline slot_chunk slot_bits_long(const void *p, size_t n)
{
    return slot_bits_of_half(p) | slot_bits_of_half((const char *)p + min_size(n, SLOT_CLEARED) - SLOT_SHORT);
}

// Volatile: one after the other, so that they need one register for all addresses.
static inline const char *slot_bits_of_step(slot_chunk *bits, const char *at, size_t step)
{
    *bits |= *(const volatile slot_any_chunk *)(const void *)at;
    return at + step;
}

// The same of 16 to SLOT_SHORT bytes, a multiple of eight.
static inline slot_chunk slot_bits_short(const void *p, size_t n)
{
    size_t last = n - sizeof(slot_chunk), step = slot_step(last);
    const char *at = p, *end = at + last;
    slot_chunk bits = *(const volatile slot_any_chunk *)(const void *)end;
    at = slot_bits_of_step(&bits, at, step);
    at = slot_bits_of_step(&bits, at, step);
    at = slot_bits_of_step(&bits, at, step);
    at = slot_bits_of_step(&bits, at, step);
    at = slot_bits_of_step(&bits, at, step);
    at = slot_bits_of_step(&bits, at, step);
    slot_bits_of_step(&bits, at, step);
    return bits;
}

#endif
