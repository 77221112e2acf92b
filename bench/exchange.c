// SPDX-License-Identifier: MIT
// Threads replace blocks of mixed sizes in slots that all of them share: most blocks are freed by another
// thread than the one that allocated them, as where requests travel between the threads of a server.
//
// usage: exchange [THREADS [OPERATIONS]]     on the allocator that is linked or preloaded
// prints the processor seconds, the elapsed seconds and the largest resident size.

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { SLOTS = 20000, MOST_THREADS = 256 };

static _Atomic(void *) slots[SLOTS];
static uint64_t operations_each;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

// Fifteen of sixteen blocks are small, up to 316 bytes; the rest goes up to 8 KB.
static size_t size_from(uint64_t random)
{
    size_t bound = (random & 15) != 0 ? 300 : 8000;
    return 16 + (random >> 20) % bound;
}

static void *replace(void *number)
{
    uint64_t state = ((uintptr_t)number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    for (uint64_t i = 0; i < operations_each; i++) {
        uint64_t random = next_random(&state);
        char *block = malloc(size_from(random));
        if (block == NULL)
            abort();
        block[0] = 1;
        free(atomic_exchange(&slots[(random >> 40) % SLOTS], block));
    }
    return NULL;
}

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

int main(int argc, char **argv)
{
    unsigned long threads = argc > 1 ? strtoul(argv[1], NULL, 10) : 8;
    uint64_t operations = argc > 2 ? strtoull(argv[2], NULL, 10) : 4000000;
    pthread_t thread[MOST_THREADS];
    struct timespec start, end;
    if (threads == 0 || threads > MOST_THREADS)
        return 2;
    operations_each = operations / threads;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (uintptr_t i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, replace, (void *)i) != 0)
            return 1;
    for (uintptr_t i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("cpu %.3f elapsed %.3f resident %ld\n", seconds(usage.ru_utime) + seconds(usage.ru_stime),
           (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9,
           usage.ru_maxrss);
    return 0;
}
