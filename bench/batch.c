// SPDX-License-Identifier: MIT
// Each thread allocates a batch of blocks and then frees all of them, in the order of allocation, in reverse
// or at random: Hoard's threadtest (Berger and others, 2000), with sizes.
//
// options: --batch N (1000); --most BYTES (1000): sizes from 1 up to that, evenly; --order 0 first in first
// out, 1 last in first out, 2 random

#include "work.h"

enum { BATCH_MOST = 100000 };

static uint64_t batch = 1000, most = 1000, order;

// The order in which the blocks of a batch are freed, the same for all batches of a thread.
static void choose_turns(size_t *turns, uint64_t *random)
{
    for (size_t i = 0; i < batch; i++)
        turns[i] = order == 1 ? batch - 1 - i : i;
    for (size_t i = batch - 1; order == 2 && i > 0; i--) {
        size_t other = random_below(random, i + 1), kept = turns[i];
        turns[i] = turns[other];
        turns[other] = kept;
    }
}

static void free_all(char **blocks, const size_t *sizes, const size_t *turns)
{
    for (size_t i = 0; i < batch; i++) {
        size_t k = turns[i];
        check_stamp(blocks[k], sizes[k], k);
        free(blocks[k]);
    }
}

static void *batches(void *arg)
{
    struct worker *self = arg;
    static _Thread_local char *blocks[BATCH_MOST];
    static _Thread_local size_t sizes[BATCH_MOST], turns[BATCH_MOST];
    size_t n = work_share(60000000);
    choose_turns(turns, &self->random);
    while (self->count < n) {
        for (size_t i = 0; i < batch; i++) {
            sizes[i] = 1 + random_below(&self->random, most);
            blocks[i] = work_need(malloc(sizes[i]));
            stamp(blocks[i], sizes[i], i);
        }
        free_all(blocks, sizes, turns);
        self->count += batch;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv,
               (struct work_option[]){{"batch", &batch}, {"most", &most}, {"order", &order}, {0}});
    if (batch == 0 || batch > BATCH_MOST || order > 2)
        return 2;
    double seconds = work_run(work_threads, batches);
    work_rate("pairs/s", work_count(), seconds);
    return 0;
}
