// SPDX-License-Identifier: MIT
#include "core/canary.h"

void canary_set_size(void *p, size_t slot, size_t size)
{
    memset((char *)p + size, (int)(CANARY_PAD_WORD & 0xff), slot - CANARY_BYTES - size);
    store_relaxed(canary_place(p, slot), canary_word(canary_hash(p), size));
}

enum canary_state canary_look(const void *p, size_t slot, size_t *size)
{
    uint64_t word = load_relaxed(canary_place(p, slot)), hash = canary_hash(p);
    if (canary_is_live(p, slot, hash, size))
        return CANARY_LIVE;
    if (word == 0)
        return CANARY_FRESH;
    return word == canary_word(hash, CANARY_SIZE_FREED) ? CANARY_FREED : CANARY_BROKEN;
}
