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

#endif
