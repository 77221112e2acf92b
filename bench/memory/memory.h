// SPDX-License-Identifier: MIT
// What the memory workloads share: blocks that are counted, a sampler of live and resident bytes, sets of
// blocks. Sampling allocates nothing. A workload's own tables do not come from the allocator either, and are
// left out of all figures.
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include "../work.h"
#include <stdatomic.h>

enum { MEMORY_PAGE = 4096, MIB = 1 << 20 };

extern uint64_t memory_settle_ms;    // --settle, of those that list it
extern uint64_t memory_settle_calls; // --calls, of those that list it

// The main thread.

// Starts the sampler; all tables must have been taken before.
void memory_begin(void);
// Ends the sampler and prints `sample MS LIVE RSS PHASE` for each sample, then the results.
void memory_end(void);
// How much resident bytes over live bytes rose over a run as long as the phase `name`, by its second half.
double memory_slope(const char *name);
// Page by page as the kernel knew it after memory_settle; the samples before come from cheaper, coarser
// counters.
size_t memory_settled_rss(void);
// Zeroed memory from the kernel, resident at once.
void *memory_table(size_t bytes);

// All work_threads threads: they meet, and go on together into the phase. `name` lives for ever.
void memory_meet(const char *name);
// The same, but nobody goes on before memory_settle_ms are over; what is resident then is the settled size.
// Nobody calls the allocator, unless there are memory_settle_calls: blocks that one thread allocates and
// frees each ms.
void memory_settle(void);

// Any thread, from here on.

void memory_count(long change);

// Every page of the block becomes resident. size >= sizeof(size_t).
static inline char *memory_new(size_t size)
{
    char *block = marked_new(size);
    for (size_t at = MEMORY_PAGE; at + 1 < size; at += MEMORY_PAGE)
        ((volatile char *)block)[at] = 1;
    memory_count((long)size);
    return block;
}

static inline size_t memory_size(const char *block) { return *(const size_t *)(const void *)block; }

static inline void memory_free(char *block)
{
    if (block != NULL)
        memory_count(-(long)memory_size(block));
    marked_free(block);
}

// Blocks of one thread, in no order.
struct set {
    char **blocks;
    size_t count, room, bytes;
};

static inline struct set set_make(size_t room)
{
    return (struct set){.blocks = (char **)memory_table(room * sizeof(char *)), .room = room};
}

static inline void set_add(struct set *self, size_t size)
{
    if (self->count == self->room)
        work_fail("a set has no room");
    self->blocks[self->count++] = memory_new(size);
    self->bytes += size;
}

static inline void set_drop(struct set *self, size_t i)
{
    char *block = self->blocks[i];
    self->blocks[i] = self->blocks[--self->count];
    self->bytes -= memory_size(block);
    memory_free(block);
}

// Any block but the first `kept`, until no more than `bytes` are left, or those alone.
static inline void set_shrink(struct set *self, size_t kept, size_t bytes, uint64_t *random)
{
    while (self->count > kept && self->bytes > bytes)
        set_drop(self, kept + random_below(random, self->count - kept));
}

#endif
