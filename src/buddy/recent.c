// SPDX-License-Identifier: MIT
#include "buddy/recent.h"

struct recent_set recent_sets[RECENT_SETS_MAX];
uint32_t recent_shift = 31;

void recent_init(unsigned sets)
{
    recent_shift = 32 - log2_ceil(max_size(2, min_size(sets, RECENT_SETS_MAX)));
}

struct page_run recent_displace(struct recent_set *self, page_id first, size_t n)
{
    size_t place = load_relaxed(&self->gives) % RECENT_BLOCKS;
    // pairs with recent_take
    uint64_t before = exchange_acq_rel(&self->blocks[place], recent_word(first, n));
    return recent_run(before);
}

static size_t places(void) { return RECENT_BLOCKS * ((size_t)1 << (32 - recent_shift)); }

static atomic_u64 *place_at(size_t i) { return &recent_sets[i / RECENT_BLOCKS].blocks[i % RECENT_BLOCKS]; }

struct page_run recent_next(size_t *from)
{
    for (; *from < places(); ++*from) {
        atomic_u64 *place = place_at(*from);
        uint64_t word = load_relaxed(place) == 0 ? 0 : exchange_acquire(place, 0); // pairs with recent_keep
        if (word != 0)
            return recent_run(word);
    }
    return recent_run(0);
}

uint64_t recent_pages(void)
{
    uint64_t pages = 0;
    for (size_t i = 0; i < places(); i++)
        pages += recent_run(load_relaxed(place_at(i))).n & ~RECENT_GUARDED;
    return pages;
}
