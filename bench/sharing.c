// SPDX-License-Identifier: MIT
// False sharing, made by the allocator. Active: threads allocate small blocks themselves and write to them,
// and must not be given parts of one cache line. Passive: each thread is handed a block of one line that the
// main thread allocated, frees it, and must not be given such neighbours again (cache-thrash and
// cache-scratch of Hoard, Berger and others, 2000).
//
// options: --passive 1; --size BYTES (8); --writes N (1000) to each block

#include "work.h"

enum { SPARE = 64 };

static uint64_t passive, size = 8, writes = 1000;
static char *handed[WORK_THREADS_MAX], *all[WORK_THREADS_MAX + SPARE];

// Hands out neighbours from the first that shares its line with the next: else the blocks of two threads may
// lie in two lines by chance.
static void hand_out(void)
{
    enum { LINE = 64 };
    unsigned first = 0;
    for (unsigned i = 0; i < work_threads + SPARE; i++)
        all[i] = work_need(malloc(size));
    while (first < SPARE - 1 && (uintptr_t)all[first] / LINE != (uintptr_t)all[first + 1] / LINE)
        first++;
    for (unsigned i = 0; i < work_threads; i++) {
        handed[i] = all[first + i];
        all[first + i] = NULL;
    }
}

static void *write_often(void *arg)
{
    struct worker *self = arg;
    size_t n = work_share(800000);
    free(handed[self->index]);
    for (; self->count < n; self->count++) {
        volatile char *block = work_need(malloc(size));
        for (uint64_t i = 0; i < writes; i++)
            block[i % size]++;
        free((void *)block);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv,
               (struct work_option[]){{"passive", &passive}, {"size", &size}, {"writes", &writes}, {0}});
    if (size == 0)
        return 2;
    if (passive != 0)
        hand_out();
    double seconds = work_run(work_threads, write_often);
    work_rate("blocks/s", work_count(), seconds);
    for (unsigned i = 0; i < WORK_THREADS_MAX + SPARE; i++)
        free(all[i]);
    return 0;
}
