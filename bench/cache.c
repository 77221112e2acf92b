// SPDX-License-Identifier: MIT
// A cache in a server: a large live set of items of mixed sizes of a fixed number, replaced at random by
// all threads; whichever thread replaces an item frees it.
//
// options: --items N (100000)

#include "work.h"
#include <stdatomic.h>
#include <string.h>

enum { ITEMS_MOST = 1 << 22 };

static uint64_t items = 100000;
static _Atomic(char *) cache[ITEMS_MOST];

static char *make(uint64_t *random)
{
    size_t size = random_pareto(random, 64, 8192);
    char *item = work_need(malloc(size));
    memset(item, 1, size < 512 ? size : 512);
    return item;
}

static void *replace_all(void *arg)
{
    struct worker *self = arg;
    for (size_t n = work_share(8000000); self->count < n; self->count++)
        free(atomic_exchange(&cache[random_below(&self->random, items)], make(&self->random)));
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv, (struct work_option[]){{"items", &items}, {0}});
    if (items == 0 || items > ITEMS_MOST)
        return 2;
    double seconds = work_run(work_threads, replace_all);
    work_rate("items/s", work_count(), seconds);
    for (uint64_t i = 0; i < items; i++)
        free(cache[i]);
    return 0;
}
