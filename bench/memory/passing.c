// SPDX-License-Identifier: MIT
// Half of the threads make messages, the other half take them from a bounded queue, keep a number of them for
// a while and free them in random order: nothing is freed where it was allocated.
//
// options: --alive BYTES (32 MiB) that the takers keep, --settle MS (1000). An even number of threads.

#include "../queue.h"
#include "memory.h"

enum { MESSAGES = 20000000, LEAST = 16, MOST = 8192 };

static uint64_t alive_bytes = 32 * MIB;
static struct queue queue;
static struct set sets[WORK_THREADS_MAX];

static void make(struct worker *self)
{
    void *messages[QUEUE_CHUNK];
    for (size_t n = 2 * work_share(MESSAGES); self->count < n; self->count += QUEUE_CHUNK) {
        for (int i = 0; i < QUEUE_CHUNK; i++)
            messages[i] = memory_new(random_pareto(&self->random, LEAST, MOST));
        queue_put(&queue, messages, QUEUE_CHUNK);
    }
    queue_close(&queue);
}

static void keep(struct set *own, char *message)
{
    if (own->count == own->room)
        work_fail("a set has no room");
    own->blocks[own->count++] = message;
    own->bytes += memory_size(message);
}

static void take(struct worker *self)
{
    void *messages[QUEUE_CHUNK];
    struct set *own = &sets[self->index];
    size_t share = 2 * alive_bytes / work_threads, n;
    while ((n = queue_get(&queue, messages, QUEUE_CHUNK)) != 0) {
        for (size_t i = 0; i < n; i++)
            keep(own, messages[i]);
        set_shrink(own, 0, share, &self->random);
    }
}

static void *pass(void *arg)
{
    struct worker *self = arg;
    memory_meet("passing");
    if (self->index % 2 == 0)
        make(self);
    else
        take(self);
    memory_settle();
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv,
               (struct work_option[]){{"alive", &alive_bytes}, {"settle", &memory_settle_ms}, {0}});
    if (work_threads % 2 != 0)
        work_fail("the number of threads must be even");
    queue_init(&queue, work_threads / 2);
    for (unsigned i = 1; i < work_threads; i += 2)
        sets[i] = set_make(2 * alive_bytes / work_threads / (2 * LEAST));
    memory_begin();
    work_run(work_threads, pass);
    memory_end();
    return 0;
}
