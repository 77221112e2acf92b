// SPDX-License-Identifier: MIT
// The live set moves from one size to the next, to one that earlier blocks' places cannot serve singly. A
// tenth of it, at random places, survives each move.
//
// options: --alive BYTES (100 MiB), of all threads; --settle MS (1000)

#include "memory.h"

static const size_t sizes[] = {64, 96, 4096};
static const char *const phases[] = {"64", "96", "4096"};
static uint64_t alive_bytes = 100 * MIB;
static struct set sets[WORK_THREADS_MAX];

static void *shift(void *arg)
{
    struct worker *self = arg;
    struct set *own = &sets[self->index];
    size_t share = alive_bytes / work_threads;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memory_meet(phases[i]);
        set_shrink(own, 0, share / 10, &self->random);
        while (own->bytes < share)
            set_add(own, sizes[i]);
    }
    memory_settle();
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv,
               (struct work_option[]){{"alive", &alive_bytes}, {"settle", &memory_settle_ms}, {0}});
    for (unsigned i = 0; i < work_threads; i++)
        sets[i] = set_make(alive_bytes / work_threads / sizes[0] + 1);
    memory_begin();
    work_run(work_threads, shift);
    memory_end();
    return 0;
}
