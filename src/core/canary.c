// SPDX-License-Identifier: MIT
#include "core/canary.h"

#include "core/atomics.h"
#include "core/bits.h"
#include "core/harden.h"
#include <string.h>

#define SIZE_SHIFT 40
#define CHECK_MASK ((UINT64_C(1) << SIZE_SHIFT) - 1)
#define PAD_BYTE 0xc5
#define FREED_SIZE ((UINT64_C(1) << 24) - 1) // no slot is as large

static uint64_t word_of(const void *p, uint64_t size)
{
    uint64_t hash = ((uintptr_t)p ^ harden.secrets[0] ^ size << SIZE_SHIFT) * (harden.secrets[1] | 1);
    return size << SIZE_SHIFT | ((hash ^ hash >> 32) & CHECK_MASK) | 1;
}

// Relaxed: two threads that free one block at once meet here, and later in the span's bitmap.
static atomic_u64 *place_of(const void *p, size_t slot)
{
    return (atomic_u64 *)((uintptr_t)p + slot - CANARY_BYTES);
}

static size_t pad_of(size_t slot, size_t size) { return min_size(CANARY_PAD, slot - CANARY_BYTES - size); }

void canary_set_live(void *p, size_t slot, size_t size)
{
    memset((char *)p + size, PAD_BYTE, pad_of(slot, size));
    store_relaxed(place_of(p, slot), word_of(p, size));
}

void canary_set_freed(void *p, size_t slot)
{
    store_relaxed(place_of(p, slot), word_of(p, FREED_SIZE));
    memset(p, 0, slot - CANARY_BYTES);
}

static bool pad_stands(const unsigned char *p, size_t slot, size_t size)
{
    for (size_t i = 0; i < pad_of(slot, size); i++)
        if (p[size + i] != PAD_BYTE)
            return false;
    return true;
}

enum canary_state canary_look(const void *p, size_t slot, size_t *size)
{
    uint64_t word = load_relaxed(place_of(p, slot));
    *size = (size_t)(word >> SIZE_SHIFT);
    if (word == 0)
        return CANARY_FRESH;
    if (word != word_of(p, *size))
        return CANARY_BROKEN;
    if (*size == FREED_SIZE)
        return CANARY_FREED;
    return *size + CANARY_BYTES <= slot && pad_stands(p, slot, *size) ? CANARY_LIVE : CANARY_BROKEN;
}

bool canary_is_clear(const void *p, size_t slot)
{
    const uint64_t *words = p;
    uint64_t any = 0;
    for (size_t i = 0; i < slot / sizeof *words - 1; i++)
        any |= words[i];
    return any == 0;
}
