// SPDX-License-Identifier: MIT
// A batch: an array of free objects of one class, the unit in which caches and central pools exchange.
// A batch has one owner at a time. Batches and their stacks are type-stable; the stack functions are for any
// thread.
#ifndef TARN_CORE_BATCH_H
#define TARN_CORE_BATCH_H

#include "core/atomics.h"
#include "core/bits.h"
#include <stdbool.h>
#include <stddef.h>

#define BATCH_SLOTS 127

// objects[0 .. count) are the batch's, except while it is loaded in a bin, which counts for itself.
struct batch {
    atomic_u32 next; // number of the batch below it in a stack
    atomic_u8
        count; // 0 .. BATCH_SLOTS; written by the owner, relaxed, since others read it for statistics only
    uint8_t number_high; // its own number; never changes
    uint16_t number_low;
    void *objects[BATCH_SLOTS];
    char apart[CACHE_LINE]; // else the first slots of all batches would share a few sets of a processor's
                            // cache, and they are what the fast paths read
};

_Static_assert(sizeof(struct batch) / CACHE_LINE % 2 == 1, "batches lie an odd number of cache lines apart");

// A stack of batches in one word:  tag << 32 | depth << 24 | reference.  The tag changes with every step, so
// a step that was prepared against an older state fails, and the batch below the top may be read though
// somebody else just popped the top.
typedef struct {
    atomic_u64 word;
} batch_stack;

#define BATCH_STACK_DEEPEST 255

static inline unsigned batch_count(struct batch *self) { return load_relaxed(&self->count); }
static inline void batch_set_count(struct batch *self, size_t n) { store_relaxed(&self->count, (uint8_t)n); }

void batch_init(void);
void batch_after_fork(void);
// An empty batch, NULL if there is no memory.
struct batch *batch_new(void);
void batch_recycle(struct batch *self);

// False, and nothing pushed, when the stack is `bound` deep already (bound <= BATCH_STACK_DEEPEST).
bool batch_push(batch_stack *stack, struct batch *batch, unsigned bound);
struct batch *batch_pop(batch_stack *stack);
// How many objects the batches of a stack hold, while other threads use it: roughly.
uint64_t batch_objects_shared(batch_stack *stack);
unsigned batch_depth(batch_stack *stack);
// Visits what is in the stack; no other thread uses it. Stops when `visit` returns false, and then returns
// false.
bool batch_visit(batch_stack *stack, bool (*visit)(void *arg, struct batch *batch), void *arg);

#endif
