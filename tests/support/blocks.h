// SPDX-License-Identifier: MIT
// Blocks that know their own size and can tell whether somebody wrote into them, and places to exchange them
// at. Any thread; a block belongs to one thread at a time.

#ifndef TESTS_SUPPORT_BLOCKS_H
#define TESTS_SUPPORT_BLOCKS_H

#include "checks.h"

#include <stdatomic.h>
#include <stdbool.h>

enum { SLOTS = 256 };

typedef struct {
    size_t size;
    size_t check;
    unsigned char rest[];
} block;

// Where threads leave blocks for each other.
typedef _Atomic(block *) block_slot;

static inline size_t random_next(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (size_t)(*state >> 33);
}

// Mostly what servers ask for, now and then some pages, rarely megabytes.
static inline size_t random_size(uint64_t *state)
{
    size_t kind = random_next(state) % 1024;
    size_t most = kind < 960 ? 1024 : kind < 1016 ? 32 << 10 : kind < 1023 ? 512 << 10 : 4 << 20;
    return sizeof(block) + 1 + random_next(state) % most;
}

// The end is marked too, as a neighbour that overlaps would most likely write there.
static inline block *block_new(size_t size)
{
    block *b = malloc(size);
    expect(b != NULL);
    b->size = size;
    b->check = ~size ^ (size_t)(uintptr_t)b;
    b->rest[size - sizeof(block) - 1] = (unsigned char)size;
    return b;
}

static inline void block_expect_whole(const block *b)
{
    expect(b->check == (~b->size ^ (size_t)(uintptr_t)b));
    expect(b->rest[b->size - sizeof(block) - 1] == (unsigned char)b->size);
}

// Spoils the marks, so that a block handed to two owners is noticed by the second.
static inline void block_free(block *b)
{
    if (b == NULL)
        return;
    block_expect_whole(b);
    b->check = 0;
    free(b);
}

static inline void slot_exchange(block_slot *slot, block *b) { block_free(atomic_exchange(slot, b)); }

// One step of a thread that trades blocks with all others.
static inline void slots_trade(block_slot *slots, uint64_t *state)
{
    slot_exchange(&slots[random_next(state) % SLOTS], block_new(random_size(state)));
}

static inline void slots_clear(block_slot *slots)
{
    for (int i = 0; i < SLOTS; i++)
        slot_exchange(&slots[i], NULL);
}

#endif
