// SPDX-License-Identifier: MIT
// Each thread allocates a batch of blocks and then frees all of them, in the order of allocation, in reverse
// or at random: Hoard's threadtest (Berger and others, 2000), with sizes.
//
// options: --batch N (1000); --most BYTES (1000): sizes from 1 up to that, evenly; --order 0 first in first
// out, 1 last in first out, 2 random

#include "work.h"

enum { BATCH_MOST = 100000 };

static uint64_t batch = 1000, most = 1000, order;

// A walk over 0 to n - 1 in strides that share no factor with n visits each number once.
static size_t stride_for(size_t n)
{
    static const size_t strides[] = {7919, 6701, 3571, 1};
    size_t i = 0;
    while (n % strides[i] == 0 && strides[i] != 1)
        i++;
    return strides[i];
}

static void free_all(char **blocks, size_t *sizes, size_t n)
{
    size_t at = 0, stride = stride_for(n);
    for (size_t i = 0; i < n; i++, at = (at + stride) % n) {
        size_t k = order == 0 ? i : order == 1 ? n - 1 - i : at;
        check_stamp(blocks[k], sizes[k], k);
        free(blocks[k]);
    }
}

static void *batches(void *arg)
{
    struct worker *self = arg;
    static _Thread_local char *blocks[BATCH_MOST];
    static _Thread_local size_t sizes[BATCH_MOST];
    size_t n = work_share(60000000);
    while (self->count < n) {
        for (size_t i = 0; i < batch; i++) {
            sizes[i] = 1 + random_below(&self->random, most);
            blocks[i] = work_need(malloc(sizes[i]));
            stamp(blocks[i], sizes[i], i);
        }
        free_all(blocks, sizes, batch);
        self->count += batch;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv,
               (struct work_option[]){{"batch", &batch}, {"most", &most}, {"order", &order}, {0}});
    if (batch == 0 || batch > BATCH_MOST)
        return 2;
    double seconds = work_run(work_threads, batches);
    work_rate("pairs/s", work_count(), seconds);
    return 0;
}
