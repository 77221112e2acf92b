// SPDX-License-Identifier: MIT
// A server whose threads replace random blocks of a live set and, after some rounds, end and hand the set to
// a successor thread, so that blocks outlive the threads that allocated them (Larson and Krishnan, 1998).
//
// options: --blocks N (1000) in each set; --most BYTES (500); --rounds N (20000) replacements in a thread's
// life

#include "work.h"
#include <pthread.h>

enum { BLOCKS_MOST = 100000 };

static uint64_t blocks_each = 1000, most = 500, rounds = 20000;

struct live_set {
    struct worker *worker;
    char **blocks;
    size_t *sizes;
};

static void replace(struct live_set *set, size_t i, uint64_t *random)
{
    if (set->blocks[i] != NULL)
        check_stamp(set->blocks[i], set->sizes[i], i);
    free(set->blocks[i]);
    set->sizes[i] = 10 + random_below(random, most);
    set->blocks[i] = work_need(malloc(set->sizes[i]));
    stamp(set->blocks[i], set->sizes[i], i);
}

static void *live(void *arg)
{
    struct live_set *set = arg;
    uint64_t random = set->worker->random;
    for (uint64_t i = 0; i < rounds; i++)
        replace(set, random_below(&random, blocks_each), &random);
    set->worker->random = random;
    set->worker->count += rounds;
    return NULL;
}

static void *succession(void *arg)
{
    struct live_set set = {.worker = arg,
                           .blocks = work_need(calloc(blocks_each, sizeof(char *))),
                           .sizes = work_need(calloc(blocks_each, sizeof(size_t)))};
    size_t n = work_share(60000000);
    while (set.worker->count < n) {
        pthread_t successor;
        if (pthread_create(&successor, NULL, live, &set) != 0)
            work_fail("a thread could not be started");
        pthread_join(successor, NULL);
    }
    for (size_t i = 0; i < blocks_each; i++)
        free(set.blocks[i]);
    free(set.blocks);
    free(set.sizes);
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv,
               (struct work_option[]){{"blocks", &blocks_each}, {"most", &most}, {"rounds", &rounds}, {0}});
    if (blocks_each == 0 || blocks_each > BLOCKS_MOST || rounds == 0)
        return 2;
    double seconds = work_run(work_threads, succession);
    work_rate("replacements/s", work_count(), seconds);
    return 0;
}
