// SPDX-License-Identifier: MIT
// Random sizes with frees across threads: each thread replaces blocks of its own, and now and then gives a
// bundle of them to whoever comes next and takes another's (the kind of rpmalloc's benchmark by Jansson,
// 2017).
//
// options: --most BYTES (8000); --alive N (2000) in each thread

#include "work.h"
#include <stdatomic.h>

enum { BUNDLE = 128, BUNDLES = 64, ALIVE_MOST = 100000 };

struct bundle {
    char *blocks[BUNDLE];
};

static _Atomic(struct bundle *) waiting[BUNDLES];
static uint64_t most = 8000, alive = 2000;

static void replace(char **block, uint64_t *random)
{
    marked_free(*block);
    *block = marked_new(random_pareto(random, 16, most));
}

static void cross(char **blocks, uint64_t *random)
{
    struct bundle *bundle = work_need(malloc(sizeof *bundle));
    size_t first = random_below(random, alive - BUNDLE);
    for (size_t i = 0; i < BUNDLE; i++) {
        bundle->blocks[i] = blocks[first + i];
        blocks[first + i] = NULL;
    }
    bundle = atomic_exchange(&waiting[random_below(random, BUNDLES)], bundle);
    for (size_t i = 0; bundle != NULL && i < BUNDLE; i++)
        blocks[first + i] = bundle->blocks[i];
    free(bundle);
}

static void *replace_all(void *arg)
{
    struct worker *self = arg;
    char **blocks = work_need(calloc(alive, sizeof *blocks));
    for (size_t n = work_share(30000000); self->count < n; self->count++) {
        replace(&blocks[random_below(&self->random, alive)], &self->random);
        if (self->count % (4 * (size_t)BUNDLE) == 0)
            cross(blocks, &self->random);
    }
    for (size_t i = 0; i < alive; i++)
        marked_free(blocks[i]);
    free(blocks);
    return NULL;
}

static void free_waiting(void)
{
    for (int i = 0; i < BUNDLES; i++) {
        struct bundle *bundle = waiting[i];
        for (size_t k = 0; bundle != NULL && k < BUNDLE; k++)
            marked_free(bundle->blocks[k]);
        free(bundle);
    }
}

int main(int argc, char **argv)
{
    work_start(argc, argv, (struct work_option[]){{"most", &most}, {"alive", &alive}, {0}});
    if (most < 16 || alive <= BUNDLE || alive > ALIVE_MOST)
        return 2;
    double seconds = work_run(work_threads, replace_all);
    work_rate("blocks/s", work_count(), seconds);
    free_waiting();
    return 0;
}
