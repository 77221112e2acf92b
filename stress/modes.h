// SPDX-License-Identifier: MIT
// The modes: what a worker does in one step.
// A worker and what it points to belong to its thread; the mailboxes are for any thread.
#ifndef STRESS_MODES_H
#define STRESS_MODES_H

#include "block.h"
#include <pthread.h>

#define WORKER_BLOCKS 1500
#define WORKER_LARGE_BLOCKS 24

struct worker {
    struct maker maker;
    unsigned number, count; // which of how many
    unsigned children;      // of fork, that ended well
    struct block blocks[WORKER_BLOCKS];
    struct block large[WORKER_LARGE_BLOCKS];
};

typedef void step_function(struct worker *self);

// Random operations on an own set of blocks.
void step_churn(struct worker *self);
// Even workers make blocks and put them into mailboxes, odd ones take them out and free them.
void step_exchange(struct worker *self);
// Threads that live briefly, and leave blocks to their parents and to their destructors.
void step_threads(struct worker *self);
// Blocks that grow and shrink, also from aligned ones.
void step_realloc(struct worker *self);
// Blocks beyond the size classes, up to some that are larger than a zone of the heap.
void step_large(struct worker *self);
// A child of fork that uses the heap and ends.
void step_fork(struct worker *self);
// The same from a signal handler that interrupts the allocator, often.
void step_signals(struct worker *self);
// A thread that loads a shared object, lets it allocate, and closes it.
void step_loading(struct worker *self);

// The C library's lists of threads are not whole in a child that was forked while another thread was being
// started or joined, and a child of ours starts threads. So these hold a lock in between, and forks do too;
// what the threads do with the heap meanwhile, to their last step, they do unguarded.
void threads_start(pthread_t *thread, void *(*run)(void *), void *arg);
void threads_join(pthread_t thread);
void threads_hold(void);
void threads_release(void);
// In a child, which holds it.
void threads_after_fork(void);

// What a program may call at any time beside allocating: statistics, options, collecting.
void call_the_rest(struct rng *rng);

void mailboxes_init(void);
// Ends what still lies in the mailboxes.
void mailboxes_clear(struct maker *maker);
void threads_init(void);
void children_init(void);
void worker_clear(struct worker *self);

#endif
