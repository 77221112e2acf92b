// SPDX-License-Identifier: MIT
// Producers and consumers: all blocks are freed by other threads than those that allocated them, as where one
// stage of a server hands messages to the next (xmalloc-test by Lever and Boreham, 2000, is of this kind).
//
// options: --producers N: how many of the threads allocate; half of them unless given; --most BYTES (500)

#include "queue.h"
#include "work.h"

static uint64_t producers, most = 500;
static struct queue queue;

struct message {
    size_t size;
};

static struct message *make(struct worker *self)
{
    size_t size = sizeof(struct message) + 1 + random_below(&self->random, most);
    struct message *message = work_need(malloc(size));
    message->size = size;
    ((char *)message)[size - 1] = (char)size;
    return message;
}

static void produce(struct worker *self)
{
    void *chunk[QUEUE_CHUNK];
    size_t n = work_amount(12000000) / producers;
    for (size_t made = 0; made < n; made += QUEUE_CHUNK) {
        for (size_t i = 0; i < QUEUE_CHUNK; i++)
            chunk[i] = make(self);
        queue_put(&queue, chunk, QUEUE_CHUNK);
    }
    queue_close(&queue);
}

static void consume(struct worker *self)
{
    void *chunk[QUEUE_CHUNK];
    for (size_t n; (n = queue_get(&queue, chunk, QUEUE_CHUNK)) != 0; self->count += n)
        for (size_t i = 0; i < n; i++) {
            const struct message *message = chunk[i];
            if (((const char *)message)[message->size - 1] != (char)message->size)
                work_fail("a block lost its content");
            free(chunk[i]);
        }
}

static void *work(void *arg)
{
    struct worker *self = arg;
    if (self->index < producers)
        produce(self);
    else
        consume(self);
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv, (struct work_option[]){{"producers", &producers}, {"most", &most}, {0}});
    unsigned threads = work_threads < 2 ? 2 : work_threads;
    producers = producers == 0 || producers >= threads ? threads / 2 : producers;
    queue_init(&queue, producers);
    double seconds = work_run(threads, work);
    work_rate("messages/s", work_count(), seconds);
    return 0;
}
