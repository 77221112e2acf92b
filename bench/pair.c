// SPDX-License-Identifier: MIT
// A block is allocated and freed at once, over and over: the fast path and nothing else, as in the inner
// loops of interpreters and parsers.
//
// options: --size BYTES (16), or --most BYTES: sizes from 16 up to that, Pareto-distributed; --touch 1: write
// to it

#include "work.h"

static uint64_t size = 16, most, touch;

static void *pairs(void *arg)
{
    struct worker *self = arg;
    size_t n = work_share(200000000);
    for (size_t i = 0; i < n; i++) {
        size_t bytes = most == 0 ? size : random_pareto(&self->random, 16, most);
        char *p = work_need(malloc(bytes));
        if (touch != 0)
            stamp(p, bytes, i);
        free(p);
    }
    self->count = n;
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv, (struct work_option[]){{"size", &size}, {"most", &most}, {"touch", &touch}, {0}});
    if (size == 0 || (most != 0 && most < 16))
        return 2;
    double seconds = work_run(work_threads, pairs);
    work_rate("pairs/s", work_count(), seconds);
    return 0;
}
