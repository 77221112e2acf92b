// SPDX-License-Identifier: MIT
// Threads that live briefly: each allocates and frees blocks and leaves some of them behind, in places where
// later threads replace and free them.
//
// options: --blocks N (2000) that a thread allocates, --settle MS (1000)

#include "memory.h"
#include <pthread.h>

enum { PLACES = 1 << 17, THREADS = 8000, SIZE_LEAST = 16, SIZE_MOST = 8192, ALIVE = 64 };

static _Atomic(char *) *places;
static uint64_t blocks = 2000;

static void *live(void *arg)
{
    uint64_t random = *(uint64_t *)arg;
    char *own[ALIVE] = {NULL};
    for (uint64_t i = 0; i < blocks; i++) {
        char **place = &own[random_below(&random, ALIVE)];
        memory_free(*place);
        *place = memory_new(random_pareto(&random, SIZE_LEAST, SIZE_MOST));
        if (random_below(&random, 10) == 0)
            *place = atomic_exchange(&places[random_below(&random, PLACES)], *place);
    }
    for (int i = 0; i < ALIVE; i++)
        memory_free(own[i]);
    return NULL;
}

static void *bear(void *arg)
{
    struct worker *self = arg;
    memory_meet("threads");
    for (size_t n = work_share(THREADS); self->count < n; self->count++) {
        pthread_t thread;
        // Multiplied: the state itself would start the same sequence, one step further on, in each thread.
        uint64_t random = random_next(&self->random) * UINT64_C(0x9e3779b97f4a7c15);
        if (pthread_create(&thread, NULL, live, &random) != 0)
            work_fail("a thread could not be started");
        pthread_join(thread, NULL);
    }
    memory_settle();
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv, (struct work_option[]){{"blocks", &blocks}, {"settle", &memory_settle_ms}, {0}});
    places = memory_table(PLACES * sizeof *places);
    memory_begin();
    work_run(work_threads, bear);
    memory_end();
    return 0;
}
