// SPDX-License-Identifier: MIT
// Canaries: the last word of each slot tells, to who knows the heap's secret, whether the slot is in use, and
// with how many bytes; whatever runs over the end of a block breaks it. A slot's owner, except where a
// comment says otherwise.
#ifndef TARN_CORE_CANARY_H
#define TARN_CORE_CANARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CANARY_BYTES sizeof(uint64_t)

//     block: size bytes │ pad: at least 0, at most CANARY_PAD are checked │ ... │ word
// The word is  size << 40 | check, where the check is a keyed hash of address, size and state. It lies lowest
// in memory, where an overrun comes first, and its lowest byte is never 0, as the end of a string is. Nothing
// but messages depends on what the word holds once it was found to be whole.
#define CANARY_PAD 32

enum canary_state {
    CANARY_LIVE,   // in use, with a size
    CANARY_FREED,  // freed, all else of the slot is zero
    CANARY_FRESH,  // a word of zeros: never used, or its memory has gone back to the kernel
    CANARY_BROKEN, // none of these
};

// Marks a slot of `slot` bytes as one that holds `size`; size + CANARY_BYTES <= slot.
void canary_set_live(void *p, size_t slot, size_t size);
// Clears it.
void canary_set_freed(void *p, size_t slot);
// *size is set for a live one.
enum canary_state canary_look(const void *p, size_t slot, size_t *size);
// True when the slot holds zeros before its word.
bool canary_is_clear(const void *p, size_t slot);

#endif
