// SPDX-License-Identifier: MIT
// A live set whose sizes change while it lives: small objects at first, larger ones later, so that memory cut
// up for one size has to come back for another.
//
// options: --alive BYTES (16 MiB) in each thread

#include "work.h"

enum { BLOCKS_MOST = 1 << 18, PHASES = 8 };

static uint64_t alive_bytes = 16 << 20;

struct live {
    char **blocks;
    size_t *sizes;
    size_t next, bytes, count; // a ring of `count` blocks that ends at `next`
};

static void drop_oldest(struct live *self)
{
    size_t oldest = (self->next + BLOCKS_MOST - self->count) % BLOCKS_MOST;
    check_stamp(self->blocks[oldest], self->sizes[oldest], oldest);
    free(self->blocks[oldest]);
    self->bytes -= self->sizes[oldest];
    self->count--;
}

static void add(struct live *self, size_t size)
{
    while (self->count == BLOCKS_MOST || (self->count != 0 && self->bytes + size > alive_bytes))
        drop_oldest(self);
    size_t i = self->next;
    self->blocks[i] = work_need(malloc(size));
    self->sizes[i] = size;
    stamp(self->blocks[i], size, i);
    self->next = (i + 1) % BLOCKS_MOST;
    self->bytes += size;
    self->count++;
}

static void *drift(void *arg)
{
    struct worker *self = arg;
    struct live live = {.blocks = work_need(calloc(BLOCKS_MOST, sizeof(char *))),
                        .sizes = work_need(calloc(BLOCKS_MOST, sizeof(size_t)))};
    size_t n = work_share(20000000);
    for (; self->count < n; self->count++) {
        size_t base = (size_t)32 << (PHASES * self->count / n);
        add(&live, base + random_below(&self->random, base));
    }
    while (live.count != 0)
        drop_oldest(&live);
    free(live.blocks);
    free(live.sizes);
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv, (struct work_option[]){{"alive", &alive_bytes}, {0}});
    double seconds = work_run(work_threads, drift);
    work_rate("blocks/s", work_count(), seconds);
    return 0;
}
