// SPDX-License-Identifier: MIT
// A bounded queue of pointers between threads that itself allocates nothing. Any thread.
#ifndef BENCH_QUEUE_H
#define BENCH_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum { QUEUE_ROOM = 1024, QUEUE_CHUNK = 64 };

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t not_full, not_empty;
    void *items[QUEUE_ROOM];   // guarded by lock, as are the words below
    size_t first, count, open; // open: writers that have not closed it
};

static inline void queue_init(struct queue *self, size_t writers)
{
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->not_full, NULL);
    pthread_cond_init(&self->not_empty, NULL);
    self->first = self->count = 0;
    self->open = writers;
}

// Waits for room; several items for one lock, as servers do.
static inline void queue_put(struct queue *self, void **items, size_t n)
{
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < n; i++) {
        while (self->count == QUEUE_ROOM)
            pthread_cond_wait(&self->not_full, &self->lock);
        self->items[(self->first + self->count++) % QUEUE_ROOM] = items[i];
        if (self->count == 1)
            pthread_cond_broadcast(&self->not_empty);
    }
    pthread_mutex_unlock(&self->lock);
}

// Up to n items; 0 when the queue is empty and closed.
static inline size_t queue_get(struct queue *self, void **items, size_t n)
{
    pthread_mutex_lock(&self->lock);
    while (self->count == 0 && self->open != 0)
        pthread_cond_wait(&self->not_empty, &self->lock);
    n = n < self->count ? n : self->count;
    for (size_t i = 0; i < n; i++, self->first = (self->first + 1) % QUEUE_ROOM)
        items[i] = self->items[self->first];
    if (self->count > QUEUE_ROOM / 2 && self->count - n <= QUEUE_ROOM / 2)
        pthread_cond_broadcast(&self->not_full);
    self->count -= n;
    pthread_mutex_unlock(&self->lock);
    return n;
}

static inline void queue_close(struct queue *self)
{
    pthread_mutex_lock(&self->lock);
    self->open--;
    pthread_cond_broadcast(&self->not_empty);
    pthread_mutex_unlock(&self->lock);
}

#endif
