// SPDX-License-Identifier: MIT
// Birth and death: children that allocate, free what their parent made, and leave blocks behind, some of them
// to a destructor that runs when the thread's cache is gone already.
#define _GNU_SOURCE // for pthread_tryjoin_np
#include "modes.h"

#include <errno.h>
#include <sched.h>

#define CHILDREN 4
#define CHILD_BLOCKS 64

struct child {
    struct maker maker;
    struct block inherited[CHILD_BLOCKS]; // made by the parent
    struct block left[CHILD_BLOCKS];      // for the parent to free
    struct block last;                    // for the destructor
    pthread_t thread;
};

static pthread_key_t late_key;
static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;

void threads_hold(void) { pthread_mutex_lock(&library); }
void threads_release(void) { pthread_mutex_unlock(&library); }
void threads_after_fork(void) { library = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER; }

void threads_start(pthread_t *thread, void *(*run)(void *), void *arg)
{
    threads_hold();
    int error = pthread_create(thread, NULL, run, arg);
    threads_release();
    if (error != 0)
        fault("no thread");
}

static int try_join(pthread_t thread)
{
    threads_hold();
    int error = pthread_tryjoin_np(thread, NULL);
    threads_release();
    return error;
}

void threads_join(pthread_t thread)
{
    while (try_join(thread) == EBUSY)
        sched_yield();
}

static void at_thread_end(void *arg)
{
    struct child *self = arg;
    block_end(&self->maker, &self->last);
    self->last = block_make(&self->maker, block_random_size(&self->maker.rng));
    block_end(&self->maker, &self->last);
}

// The key is newer than the allocator's own, so its destructor comes later.
void threads_init(void)
{
    struct maker maker;
    maker_init(&maker, 0, 0);
    struct block first = block_make(&maker, 1);
    block_end(&maker, &first);
    if (pthread_key_create(&late_key, at_thread_end) != 0)
        fault("no key for thread destructors");
}

static void *child_run(void *arg)
{
    struct child *self = arg;
    self->last = block_make(&self->maker, block_random_size(&self->maker.rng));
    pthread_setspecific(late_key, self);
    for (size_t i = 0; i < CHILD_BLOCKS; i++) {
        block_end(&self->maker, &self->inherited[i]);
        self->left[i] = block_make(&self->maker, block_random_size(&self->maker.rng));
        if (rng_one_in(&self->maker.rng, 2))
            block_end(&self->maker, &self->left[i]);
    }
    return NULL;
}

static void child_start(struct child *self, struct maker *parent)
{
    *self = (struct child){0};
    maker_init(&self->maker, parent->seed, rng_next(&parent->rng) >> 40);
    for (size_t i = 0; i < CHILD_BLOCKS; i++)
        self->inherited[i] = block_make(parent, block_random_size(&parent->rng));
    threads_start(&self->thread, child_run, self);
}

static void child_finish(struct child *self, struct maker *parent)
{
    threads_join(self->thread);
    for (size_t i = 0; i < CHILD_BLOCKS; i++)
        block_end(parent, &self->left[i]);
    maker_absorb(parent, &self->maker);
}

void step_threads(struct worker *self)
{
    struct child children[CHILDREN];
    for (size_t i = 0; i < CHILDREN; i++)
        child_start(&children[i], &self->maker);
    for (size_t i = 0; i < CHILDREN; i++)
        child_finish(&children[i], &self->maker);
}
