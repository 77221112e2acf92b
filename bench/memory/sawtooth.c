// SPDX-License-Identifier: MIT
// The live set of mixed sizes goes up and down, ten times; each thread frees its own blocks in random order
// and then rests a moment.
//
// options: --least BYTES (10 MiB), --alive BYTES (160 MiB), of all threads; --rest MS (200), --settle MS
// (1000)

#include "memory.h"
#include <time.h>

enum { TEETH = 10, SIZE_LEAST = 16, SIZE_MOST = 32768 };

static uint64_t least_bytes = 10 * MIB, alive_bytes = 160 * MIB, rest_ms = 200;
static struct set sets[WORK_THREADS_MAX];

static void *rise_and_fall(void *arg)
{
    struct worker *self = arg;
    struct set *own = &sets[self->index];
    for (int i = 0; i < TEETH; i++) {
        memory_meet("up");
        while (own->bytes < alive_bytes / work_threads)
            set_add(own, random_pareto(&self->random, SIZE_LEAST, SIZE_MOST));
        memory_meet("down");
        set_shrink(own, 0, least_bytes / work_threads, &self->random);
        memory_meet("low");
        nanosleep(&(struct timespec){(time_t)(rest_ms / 1000), (long)(rest_ms % 1000) * 1000000}, NULL);
    }
    memory_settle();
    return NULL;
}

int main(int argc, char **argv)
{
    struct work_option options[] = {{"least", &least_bytes},
                                    {"alive", &alive_bytes},
                                    {"rest", &rest_ms},
                                    {"settle", &memory_settle_ms},
                                    {0}};
    work_start(argc, argv, options);
    for (unsigned i = 0; i < work_threads; i++)
        sets[i] = set_make(alive_bytes / work_threads / (2 * SIZE_LEAST) + 1);
    memory_begin();
    work_run(work_threads, rise_and_fall);
    memory_end();
    return 0;
}
