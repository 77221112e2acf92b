// SPDX-License-Identifier: MIT
// Thousands of threads alive at once, each with blocks of all sizes of its own, handed round before they are
// freed. usage: threads_2000 [THREADS]

#define _GNU_SOURCE
#include "../support/blocks.h"

#include <pthread.h>

static const size_t sizes[] = {17,   24,   40,   64,   100,   150,   200,   300,   500,    800,   1200,
                               2000, 3000, 5000, 8000, 12000, 20000, 33000, 70000, 150000, 300000};
enum { SIZES = sizeof sizes / sizeof sizes[0], MOST = 10000 };

static block *held[MOST][SIZES];
static pthread_barrier_t all_hold, all_looked;
static unsigned threads;

static void *hold_and_free(void *number)
{
    unsigned self = (unsigned)(uintptr_t)number;
    block **next = held[(self + 1) % threads];
    for (int i = 0; i < SIZES; i++)
        held[self][i] = block_new(sizes[i]);
    pthread_barrier_wait(&all_hold);
    for (int i = 0; i < SIZES; i++)
        block_expect_whole(held[self][i]);
    pthread_barrier_wait(&all_looked);
    for (int i = 0; i < SIZES; i++)
        block_free(next[i]);
    return NULL;
}

int main(int argc, char **argv)
{
    static pthread_t thread[MOST];
    pthread_attr_t attributes;
    threads = argument(argc, argv, 1, 2000);
    expect(threads > 0 && threads <= MOST);
    limit_seconds(120);
    pthread_attr_init(&attributes);
    expect(pthread_attr_setstacksize(&attributes, 64 << 10) == 0);
    pthread_barrier_init(&all_hold, NULL, threads);
    pthread_barrier_init(&all_looked, NULL, threads);
    for (unsigned i = 0; i < threads; i++)
        expect(pthread_create(&thread[i], &attributes, hold_and_free, (void *)(uintptr_t)i) == 0);
    for (unsigned i = 0; i < threads; i++)
        expect(pthread_join(thread[i], NULL) == 0);
    expect_heap_is_whole();
    return 0;
}
