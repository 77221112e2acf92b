// SPDX-License-Identifier: MIT
// Mailboxes, half of them lock-free and half of them behind a mutex. What is sent is a parcel from the heap
// under test that names a block, so both are freed by somebody else.
#include "modes.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define MAILBOXES 64
#define SHELF 32
#define TRIES 4

struct parcel {
    struct block self; // the block that this parcel lies in
    struct block content;
};

struct mailbox {
    _Atomic(struct parcel *) single; // used without the mutex
    pthread_mutex_t mutex;
    unsigned count;              // guarded by mutex
    struct parcel *shelf[SHELF]; // guarded by mutex
};

static struct mailbox mailboxes[MAILBOXES];

void mailboxes_init(void)
{
    for (size_t i = 0; i < MAILBOXES; i++)
        pthread_mutex_init(&mailboxes[i].mutex, NULL);
}

static bool put_on_shelf(struct mailbox *self, struct parcel *parcel)
{
    pthread_mutex_lock(&self->mutex);
    bool room = self->count < SHELF;
    if (room)
        self->shelf[self->count++] = parcel;
    pthread_mutex_unlock(&self->mutex);
    return room;
}

static struct parcel *take_from_shelf(struct mailbox *self)
{
    pthread_mutex_lock(&self->mutex);
    struct parcel *parcel = self->count == 0 ? NULL : self->shelf[--self->count];
    pthread_mutex_unlock(&self->mutex);
    return parcel;
}

static bool put_single(struct mailbox *self, struct parcel *parcel)
{
    struct parcel *nothing = NULL;
    return atomic_compare_exchange_strong_explicit(&self->single, &nothing, parcel, memory_order_release,
                                                   memory_order_relaxed); // pairs with take_single
}

static struct parcel *take_single(struct mailbox *self)
{
    return atomic_exchange_explicit(&self->single, NULL, memory_order_acquire);
}

// The parcel's own record lies in the block that it describes, over the pattern. NULL if that got too small.
static struct parcel *parcel_make(struct maker *maker)
{
    struct block self = block_make(maker, sizeof(struct parcel));
    struct parcel *parcel = (void *)self.p;
    if (self.size < sizeof *parcel) { // made of a count that does not divide the size, or not made
        block_end(maker, &self);
        return NULL;
    }
    parcel->self = self;
    parcel->content = block_make(maker, block_random_size(&maker->rng));
    return parcel;
}

static void parcel_end(struct maker *maker, struct parcel *parcel)
{
    struct block content = parcel->content, self = parcel->self;
    block_end(maker, &content);
    block_rewrite(maker, &self);
    block_end(maker, &self);
}

static void send(struct maker *maker)
{
    struct parcel *parcel = parcel_make(maker);
    if (parcel == NULL)
        return;
    for (unsigned i = 0; i < TRIES; i++) {
        struct mailbox *box = &mailboxes[rng_below(&maker->rng, MAILBOXES)];
        if (rng_one_in(&maker->rng, 2) ? put_single(box, parcel) : put_on_shelf(box, parcel))
            return;
    }
    parcel_end(maker, parcel);
    sched_yield(); // the mailboxes are full: let others empty them
}

static void receive(struct maker *maker)
{
    struct mailbox *box = &mailboxes[rng_below(&maker->rng, MAILBOXES)];
    struct parcel *parcel = rng_one_in(&maker->rng, 2) ? take_single(box) : take_from_shelf(box);
    if (parcel != NULL)
        parcel_end(maker, parcel);
}

void step_exchange(struct worker *self)
{
    bool sends = self->count == 1 ? rng_one_in(&self->maker.rng, 2) : self->number % 2 == 0;
    (sends ? send : receive)(&self->maker);
}

void mailboxes_clear(struct maker *maker)
{
    for (size_t i = 0; i < MAILBOXES; i++)
        for (struct parcel *parcel; (parcel = take_single(&mailboxes[i])) != NULL ||
                                    (parcel = take_from_shelf(&mailboxes[i])) != NULL;)
            parcel_end(maker, parcel);
}
