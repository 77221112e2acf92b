// SPDX-License-Identifier: MIT
// A block under test: filled with a pattern made of seed, id and size, which is looked at again before the
// end. A block belongs to one thread at a time.
#ifndef STRESS_BLOCK_H
#define STRESS_BLOCK_H

#include "rng.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Which of the sized frees may end the block's life.
// A resized block may hold somewhat more than its size asks for.
enum block_kind { BLOCK_PLAIN, BLOCK_SIZED, BLOCK_RESIZED, BLOCK_ALIGNED };

struct block {
    unsigned char *p; // NULL: no block
    size_t size, align;
    uint64_t id;
    enum block_kind kind;
};

// Who makes and ends blocks: counts what it holds, so that the sum over all makers is what the heap holds.
struct maker {
    struct rng rng;
    uint64_t seed, next_id;
    int64_t held_bytes; // in whole slots and pages; below zero in a thread that ends more than it makes
    uint64_t operations, refused; // refused: there was no memory, and there may have been none
};

void maker_init(struct maker *self, uint64_t seed, uint64_t number);
// Adds what `other` counted, and forgets it there.
void maker_absorb(struct maker *self, struct maker *other);

// Whether there may be no memory: then a block is not made (p is NULL), or keeps its size and content.
// Changed while all makers stand still.
void block_allow_failure(bool allowed);

// 0 to 4 MiB, mostly small.
size_t block_random_size(struct rng *rng);
// By any of the allocation functions that can serve the size.
struct block block_make(struct maker *maker, size_t size);
struct block block_make_aligned(struct maker *maker, size_t align, size_t size);
void block_resize(struct maker *maker, struct block *block, size_t size);
void block_verify(const struct maker *maker, const struct block *block);
// By another function that does what malloc does.
struct block block_make_by(struct maker *maker, void *(*make)(size_t size), size_t size);
// Writes the pattern anew, after the program used the block for something else.
void block_rewrite(const struct maker *maker, const struct block *block);
// By any of the free functions that suit the block.
void block_end(struct maker *maker, struct block *block);

// Ends the process with a message.
_Noreturn void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
