// SPDX-License-Identifier: MIT
#include "core/batch.h"

#include "core/bits.h"
#include "core/lock.h"
#include "core/meta.h"

// Batches have numbers, so that a stack's top, its depth and a tag fit into one word. Number 0 is no batch.
#define NUMBER_BITS 24
#define NUMBER_MASK ((1u << NUMBER_BITS) - 1)
#define CHUNK_BATCHES 128
#define CHUNKS ((1u << NUMBER_BITS) / CHUNK_BATCHES)
#define DEPTH_SHIFT NUMBER_BITS
#define TAG_SHIFT 32

static struct {
    struct lock lock;
    uint32_t made;     // guarded by lock: lower numbers have been handed out
    batch_stack empty; // to be used again; its depth field is not kept
} pool;

static _Atomic(struct batch *) chunks[CHUNKS] TABLE; // set once each; release pairs with batch_at

void batch_init(void)
{
    lock_init(&pool.lock, LOCK_BATCHES);
    pool.made = 1;
}

static struct batch *batch_at(uint32_t number)
{
    return &load_acquire(&chunks[number / CHUNK_BATCHES])[number % CHUNK_BATCHES]; // pairs with make_locked
}

static uint64_t word_of(uint64_t before, unsigned depth, uint32_t number)
{
    return ((before >> TAG_SHIFT) + 1) << TAG_SHIFT | (uint64_t)depth << DEPTH_SHIFT | number;
}

static uint32_t number_of(const struct batch *self)
{
    return (uint32_t)self->number_high << 16 | self->number_low;
}

static unsigned depth_of(uint64_t word) { return (word >> DEPTH_SHIFT) & BATCH_STACK_DEEPEST; }

// One step up or down. acq_rel: the batch's content goes with it from the pusher to the popper.
static bool push(batch_stack *stack, struct batch *batch, unsigned bound, unsigned rise)
{
    uint64_t before = load_relaxed(&stack->word);
    do {
        if (depth_of(before) + rise > bound)
            return false;
        store_relaxed(&batch->next, (uint32_t)before & NUMBER_MASK);
    } while (
        !cas_weak_acq_rel(&stack->word, &before, word_of(before, depth_of(before) + rise, number_of(batch))));
    return true;
}

static struct batch *pop(batch_stack *stack, unsigned fall)
{
    uint64_t before = load_acquire(&stack->word); // pairs with push, for the link below
    while (((uint32_t)before & NUMBER_MASK) != 0) {
        struct batch *top = batch_at((uint32_t)before & NUMBER_MASK);
        uint32_t below = load_relaxed(&top->next); // if somebody popped `top`, the tag tells
        if (cas_weak_acq_rel(&stack->word, &before, word_of(before, depth_of(before) - fall, below)))
            return top;
    }
    return NULL;
}

bool batch_push(batch_stack *stack, struct batch *batch, unsigned bound)
{
    return push(stack, batch, bound, 1);
}
struct batch *batch_pop(batch_stack *stack) { return pop(stack, 1); }
unsigned batch_depth(batch_stack *stack) { return depth_of(load_relaxed(&stack->word)); }
void batch_recycle(struct batch *self) { push(&pool.empty, self, 0, 0); }

static struct batch *make_locked(void)
{
    uint32_t number = pool.made, chunk = number / CHUNK_BATCHES;
    if (chunk >= CHUNKS)
        return NULL;
    if (load_relaxed(&chunks[chunk]) == NULL) {
        struct batch *fresh = meta_alloc(CHUNK_BATCHES * sizeof *fresh, CACHE_LINE);
        if (fresh == NULL)
            return NULL;
        store_release(&chunks[chunk], fresh); // pairs with batch_at
    }
    pool.made++;
    struct batch *batch = batch_at(number);
    batch->number_high = (uint8_t)(number >> 16);
    batch->number_low = (uint16_t)number;
    return batch;
}

struct batch *batch_new(void)
{
    struct batch *batch = pop(&pool.empty, 0);
    if (batch == NULL) {
        lock_take(&pool.lock);
        batch = make_locked();
        lock_drop(&pool.lock);
    }
    if (batch != NULL)
        batch_set_count(batch, 0);
    return batch;
}

bool batch_visit(batch_stack *stack, bool (*visit)(void *arg, struct batch *batch), void *arg)
{
    uint32_t number = (uint32_t)load_acquire(&stack->word) & NUMBER_MASK; // pairs with push
    for (; number != 0; number = load_relaxed(&batch_at(number)->next))
        if (!visit(arg, batch_at(number)))
            return false;
    return true;
}

uint64_t batch_objects_shared(batch_stack *stack)
{
    uint64_t word = load_acquire(&stack->word), objects = 0; // pairs with push
    uint32_t number = (uint32_t)word & NUMBER_MASK;
    for (unsigned i = depth_of(word); i > 0 && number != 0; i--) {
        objects += batch_count(batch_at(number));
        number = load_relaxed(&batch_at(number)->next);
    }
    return objects;
}

// A number that a vanished thread was about to hand out is handed out here instead, or is lost.
void batch_after_fork(void) { lock_reset_after_fork(&pool.lock); }
