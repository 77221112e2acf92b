// SPDX-License-Identifier: MIT
// All threads fill memory with small objects; then each frees most of what its neighbour allocated, in random
// order. After that the threads wait and nothing calls the allocator: what does the process keep?
//
// options: --free PERCENT (90), --alive BYTES (200 MiB) at the top, --settle MS (5000), --calls N (0) each
// millisecond meanwhile

#include "memory.h"

enum { LEAST = 16, MOST = 512 };

static uint64_t free_percent = 90, alive_bytes = 200 * (uint64_t)MIB;
static struct set sets[WORK_THREADS_MAX];

static void shuffle(struct set *set, uint64_t *random)
{
    for (size_t i = set->count; i > 1; i--) {
        size_t other = random_below(random, i);
        char *block = set->blocks[i - 1];
        set->blocks[i - 1] = set->blocks[other];
        set->blocks[other] = block;
    }
}

static void free_share(struct set *set)
{
    for (size_t n = set->count * free_percent / 100; n != 0; n--)
        set_drop(set, set->count - 1);
}

static void *burst(void *arg)
{
    struct worker *self = arg;
    struct set *own = &sets[self->index];
    memory_meet("fill");
    while (own->bytes < alive_bytes / work_threads)
        set_add(own, LEAST + random_below(&self->random, MOST - LEAST + 1));
    shuffle(own, &self->random);
    memory_meet("free");
    free_share(&sets[(self->index + 1) % work_threads]);
    memory_settle();
    return NULL;
}

int main(int argc, char **argv)
{
    memory_settle_ms = 5000;
    struct work_option options[] = {{"free", &free_percent},
                                    {"alive", &alive_bytes},
                                    {"settle", &memory_settle_ms},
                                    {"calls", &memory_settle_calls},
                                    {0}};
    work_start(argc, argv, options);
    for (unsigned i = 0; i < work_threads; i++)
        sets[i] = set_make(alive_bytes / work_threads / (MOST / 3));
    memory_begin();
    work_run(work_threads, burst);
    memory_end();
    return 0;
}
