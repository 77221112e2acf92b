// SPDX-License-Identifier: MIT
// calloc: blocks that must read as zeros, small ones and some of up to a few megabytes, of which only a part
// is then written to.
//
// options: --most BYTES (2 MiB)

#include "work.h"
#include <string.h>

enum { ALIVE = 64 };

static uint64_t most = 2 << 20;

static void check_zero(const char *block, size_t size)
{
    if (block[0] != 0 || block[size / 2] != 0 || block[size - 1] != 0)
        work_fail("calloc gave a block that is not zero");
}

static char *replace(char *old, uint64_t *random)
{
    size_t size = random_pareto(random, 32, most);
    char *block = work_need(calloc(1, size));
    check_zero(block, size);
    memset(block, 1, size < 8192 ? size : 8192);
    block[size - 1] = block[size / 2] = 1;
    free(old);
    return block;
}

static void *replace_all(void *arg)
{
    struct worker *self = arg;
    char *blocks[ALIVE] = {0};
    for (size_t n = work_share(20000000); self->count < n; self->count++) {
        size_t i = random_below(&self->random, ALIVE);
        blocks[i] = replace(blocks[i], &self->random);
    }
    for (size_t i = 0; i < ALIVE; i++)
        free(blocks[i]);
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv, (struct work_option[]){{"most", &most}, {0}});
    if (most < 32)
        return 2;
    double seconds = work_run(work_threads, replace_all);
    work_rate("blocks/s", work_count(), seconds);
    return 0;
}
