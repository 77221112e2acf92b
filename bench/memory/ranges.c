// SPDX-License-Identifier: MIT
// Bursts of five ranges of sizes, one after the other. Each fills memory up to the same number of live bytes;
// then nine of ten of its blocks go, at random, and the survivors of all rounds stay. What they hold down
// shows at the end.
//
// options: --alive BYTES (160 MiB) at each top, of all threads; --settle MS (1000)

#include "memory.h"

static const struct range {
    const char *phase;
    size_t least, most;
} ranges[] = {{"16-128", 16, 128},
              {"100-600", 100, 600},
              {"1K-9K", 1024, 9216},
              {"24-300", 24, 300},
              {"5K-60K", 5120, 61440}};

enum { MEAN_LEAST = 48 };

static uint64_t alive_bytes = 160 * MIB;
static struct set sets[WORK_THREADS_MAX];

static void play(struct set *own, const struct range *range, uint64_t *random)
{
    size_t kept = own->count, kept_bytes = own->bytes, top = alive_bytes / work_threads;
    while (own->bytes < top)
        set_add(own, range->least + random_below(random, range->most - range->least + 1));
    set_shrink(own, kept, kept_bytes + (own->bytes - kept_bytes) / 10, random);
}

static void *rounds(void *arg)
{
    struct worker *self = arg;
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        memory_meet(ranges[i].phase);
        play(&sets[self->index], &ranges[i], &self->random);
    }
    memory_settle();
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv,
               (struct work_option[]){{"alive", &alive_bytes}, {"settle", &memory_settle_ms}, {0}});
    for (unsigned i = 0; i < work_threads; i++)
        sets[i] = set_make(alive_bytes / work_threads / MEAN_LEAST);
    memory_begin();
    work_run(work_threads, rounds);
    memory_end();
    return 0;
}
