// SPDX-License-Identifier: MIT
// Threads that live briefly: each allocates, exchanges some blocks with others through places that all share,
// and ends while those blocks live on, to be freed by threads that come later.
//
// options: --blocks N (200) that a thread allocates

#include "work.h"
#include <pthread.h>
#include <stdatomic.h>

enum { PLACES = 4096 };

static _Atomic(char *) places[PLACES];
static uint64_t blocks = 200;

static void *live(void *arg)
{
    uint64_t random = *(uint64_t *)arg;
    for (uint64_t i = 0; i < blocks; i++) {
        char *block = marked_new(random_pareto(&random, 16, 4096));
        if (random_below(&random, 4) == 0)
            block = atomic_exchange(&places[random_below(&random, PLACES)], block);
        marked_free(block);
    }
    return NULL;
}

static void *bear(void *arg)
{
    struct worker *self = arg;
    for (size_t n = work_share(40000); self->count < n; self->count++) {
        pthread_t thread;
        uint64_t random = random_next(&self->random);
        if (pthread_create(&thread, NULL, live, &random) != 0)
            work_fail("a thread could not be started");
        pthread_join(thread, NULL);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv, (struct work_option[]){{"blocks", &blocks}, {0}});
    double seconds = work_run(work_threads, bear);
    work_rate("threads/s", work_count(), seconds);
    for (int i = 0; i < PLACES; i++)
        marked_free(places[i]);
    return 0;
}
