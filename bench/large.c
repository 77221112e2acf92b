// SPDX-License-Identifier: MIT
// Large blocks, as for input and output buffers, images and matrices: a few are alive in each thread; each is
// written to at both ends, or in every page.
//
// options: --least BYTES (64 KiB); --most BYTES (1 MiB); --alive N (8); --touch 1: every page; --share 1:
// blocks are freed by any thread

#include "work.h"
#include <pthread.h>

enum { ALIVE_MOST = 1024, KERNEL_PAGE = 4096 };

static uint64_t least = 64 << 10, most = 1 << 20, alive = 8, touch, share;

struct place {
    pthread_mutex_t lock;
    char *block; // guarded by lock, as is size
    size_t size;
};

static struct place shared[ALIVE_MOST];

static void replace(struct place *place, uint64_t *random)
{
    size_t size = least + random_below(random, most - least + 1);
    char *block = work_need(malloc(size));
    stamp(block, size, size);
    for (size_t i = 0; touch != 0 && i < size; i += KERNEL_PAGE)
        block[i] = (char)size;
    pthread_mutex_lock(&place->lock);
    char *old = place->block;
    if (old != NULL)
        check_stamp(old, place->size, place->size);
    place->block = block;
    place->size = size;
    pthread_mutex_unlock(&place->lock);
    free(old);
}

static void *replace_all(void *arg)
{
    struct worker *self = arg;
    size_t n = work_share((touch != 0 ? UINT64_C(24) << 30 : UINT64_C(1) << 40) / (least + most));
    size_t first = share != 0 ? 0 : self->index * alive;
    size_t places = share != 0 ? alive * work_threads : alive;
    for (; self->count < n; self->count++)
        replace(&shared[first + random_below(&self->random, places)], &self->random);
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv,
               (struct work_option[]){{"least", &least},
                                      {"most", &most},
                                      {"alive", &alive},
                                      {"touch", &touch},
                                      {"share", &share},
                                      {0}});
    if (alive == 0 || alive * work_threads > ALIVE_MOST || least == 0 || least > most)
        return 2;
    for (int i = 0; i < ALIVE_MOST; i++)
        pthread_mutex_init(&shared[i].lock, NULL);
    double seconds = work_run(work_threads, replace_all);
    work_rate("blocks/s", work_count(), seconds);
    return 0;
}
