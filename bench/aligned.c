// SPDX-License-Identifier: MIT
// Aligned blocks, as vector code, storage engines and device buffers ask for: 32 bytes to a page, of many
// sizes.
//
// options: --alive N (500) in each thread

#include "work.h"

enum { ALIVE_MOST = 100000 };

static uint64_t alive = 500;

struct aligned {
    char *block;
    size_t size;
};

static void replace(struct aligned *self, uint64_t *random)
{
    size_t align = (size_t)32 << random_below(random, 8);
    if (self->block != NULL)
        check_stamp(self->block, self->size, self->size);
    free(self->block);
    self->size = random_pareto(random, 32, 65536);
    void *block = NULL;
    if (posix_memalign(&block, align, self->size) != 0)
        work_fail("no memory");
    self->block = block;
    if ((uintptr_t)self->block % align != 0)
        work_fail("a block is not aligned");
    stamp(self->block, self->size, self->size);
}

static void *replace_all(void *arg)
{
    struct worker *self = arg;
    struct aligned *all = work_need(calloc(alive, sizeof *all));
    for (size_t n = work_share(20000000); self->count < n; self->count++)
        replace(&all[random_below(&self->random, alive)], &self->random);
    for (size_t i = 0; i < alive; i++)
        free(all[i].block);
    free(all);
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv, (struct work_option[]){{"alive", &alive}, {0}});
    if (alive == 0 || alive > ALIVE_MOST)
        return 2;
    double seconds = work_run(work_threads, replace_all);
    work_rate("blocks/s", work_count(), seconds);
    return 0;
}
