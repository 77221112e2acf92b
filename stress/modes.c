// SPDX-License-Identifier: MIT
#include "modes.h"

#include <tarn/tarn.h>

static struct block *any_block(struct worker *self)
{
    return &self->blocks[rng_below(&self->maker.rng, WORKER_BLOCKS)];
}

static void discard(void *arg, const char *text, size_t n)
{
    (void)text;
    *(size_t *)arg += n;
}

void call_the_rest(struct rng *rng)
{
    char value[64];
    size_t length = 0;
    switch (rng_below(rng, 6)) {
    case 0:
        tarn_collect();
        break;
    case 1:
        if (tarn_stats_print(TARN_STATS_TEXT, discard, &length) != 0 || length == 0)
            fault("no statistics");
        break;
    case 2:
        if (tarn_option_get("TCACHE_TOTAL", value, sizeof value) != 0)
            fault("no option TCACHE_TOTAL");
        break;
    case 3:
        if (tarn_option_set("TCACHE_TOTAL", rng_one_in(rng, 2) ? "64M" : "256K") != 0)
            fault("option TCACHE_TOTAL cannot be set");
        break;
    case 4:
        if (tarn_option_set("TARN_DECAY_MS", rng_one_in(rng, 2) ? "1000" : "20") != 0)
            fault("option DECAY_MS cannot be set");
        break;
    default:
        if (tarn_version()[0] == '\0')
            fault("no version");
    }
}

void step_churn(struct worker *self)
{
    struct maker *maker = &self->maker;
    struct block *block = any_block(self);
    if (block->p == NULL)
        *block = block_make(maker, block_random_size(&maker->rng));
    else if (rng_one_in(&maker->rng, 8))
        block_verify(maker, block);
    else if (rng_one_in(&maker->rng, 12))
        block_resize(maker, block, block_random_size(&maker->rng));
    else
        block_end(maker, block);
}

static size_t near_size(struct rng *rng, size_t size)
{
    switch (rng_below(rng, 8)) {
    case 0:
        return block_random_size(rng);
    case 1:
        return size / 2;
    case 2:
        return size + 1;
    default:
        return size + size / 8 + rng_below(rng, 64);
    }
}

void step_realloc(struct worker *self)
{
    struct maker *maker = &self->maker;
    struct block *block = any_block(self);
    if (block->p == NULL && rng_one_in(&maker->rng, 3))
        *block = block_make_aligned(maker, (size_t)1 << rng_below(&maker->rng, 17),
                                    block_random_size(&maker->rng));
    else if (block->p == NULL)
        *block = block_make(maker, block_random_size(&maker->rng));
    else if (rng_one_in(&maker->rng, 6) || block->size > (size_t)2 << 20)
        block_end(maker, block);
    else
        block_resize(maker, block, near_size(&maker->rng, block->size));
}

static size_t large_size(struct rng *rng)
{
    uint64_t kind = rng_below(rng, 64);
    size_t most = kind < 48 ? (size_t)256 << 10 : kind < 62 ? (size_t)4 << 20 : (size_t)80 << 20;
    return ((size_t)60 << 10) + (size_t)rng_below(rng, most);
}

void step_large(struct worker *self)
{
    struct maker *maker = &self->maker;
    struct block *block = &self->large[rng_below(&maker->rng, WORKER_LARGE_BLOCKS)];
    if (block->p == NULL && rng_one_in(&maker->rng, 4))
        *block = block_make_aligned(maker, (size_t)1 << rng_below(&maker->rng, 27), large_size(&maker->rng));
    else if (block->p == NULL)
        *block = block_make(maker, large_size(&maker->rng));
    else if (rng_one_in(&maker->rng, 3) && block->size <= (size_t)4 << 20)
        block_resize(maker, block, near_size(&maker->rng, block->size));
    else
        block_end(maker, block);
}

void worker_clear(struct worker *self)
{
    for (size_t i = 0; i < WORKER_BLOCKS; i++)
        block_end(&self->maker, &self->blocks[i]);
    for (size_t i = 0; i < WORKER_LARGE_BLOCKS; i++)
        block_end(&self->maker, &self->large[i]);
}
