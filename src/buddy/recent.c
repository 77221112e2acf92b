// SPDX-License-Identifier: MIT
#include "buddy/recent.h"

#define PROCESSORS_PER_ROW 4

static struct recent_set sets[RECENT_ROWS_MAX * RECENT_SIZES] TABLE;
struct recent_set *const recent_sets = sets;
uintptr_t recent_row_mask;

void recent_init(unsigned processors)
{
    size_t rows = max_size(1, processors / PROCESSORS_PER_ROW);
    rows = (size_t)1 << log2_ceil(min_size(rows, RECENT_ROWS_MAX));
    recent_row_mask = (rows - 1) * RECENT_SIZES;
}

struct page_run recent_displace(struct recent_set *self, page_id first, size_t n)
{
    size_t place = load_relaxed(&self->gives) % RECENT_BLOCKS;
    // pairs with recent_take
    uint64_t before = exchange_acq_rel(&self->blocks[place], recent_word(first, n));
    return recent_run(before);
}

struct page_run recent_take_larger(size_t n)
{
    size_t near = recent_near(n), next = align_down(near, RECENT_SIZES) + (near + 1) % RECENT_SIZES;
    return recent_take_word(&recent_sets[next], n, n / 8);
}

static size_t places(void) { return (recent_row_mask + RECENT_SIZES) * RECENT_BLOCKS; }

static atomic_u64 *place_at(size_t i) { return &recent_sets[i / RECENT_BLOCKS].blocks[i % RECENT_BLOCKS]; }

struct page_run recent_next_of(size_t *from, size_t least)
{
    for (; *from < places(); ++*from) {
        atomic_u64 *place = place_at(*from);
        if ((recent_run(load_relaxed(place)).n & ~RECENT_FLAGS) < least)
            continue;
        uint64_t word = load_relaxed(place) == 0 ? 0 : exchange_acquire(place, 0); // pairs with recent_keep
        if (word != 0)
            return recent_run(word);
    }
    return recent_run(0);
}

struct page_run recent_next(size_t *from) { return recent_next_of(from, 0); }

uint64_t recent_pages(void)
{
    uint64_t pages = 0;
    for (size_t i = 0; i < places(); i++)
        pages += recent_run(load_relaxed(place_at(i))).n & ~RECENT_FLAGS;
    return pages;
}
