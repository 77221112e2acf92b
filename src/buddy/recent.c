// SPDX-License-Identifier: MIT
#include "buddy/recent.h"

#include "core/random.h"

struct recent_set recent_sets[RECENT_SETS_MAX];
uint32_t recent_shift = 31;

void recent_init(unsigned sets)
{
    recent_shift = 32 - log2_ceil(max_size(2, min_size(sets, RECENT_SETS_MAX)));
}

static size_t places(void) { return RECENT_BLOCKS * ((size_t)1 << (32 - recent_shift)); }

static atomic_u64 *place_at(size_t i) { return &recent_sets[i / RECENT_BLOCKS].blocks[i % RECENT_BLOCKS]; }

struct page_run recent_next(size_t *from)
{
    for (; *from < places(); ++*from) {
        atomic_u64 *place = place_at(*from);
        uint64_t word = load_relaxed(place) == 0 ? 0 : exchange_acquire(place, 0); // pairs with recent_give
        if (word != 0)
            return recent_run(word);
    }
    return recent_run(0);
}

static struct page_run take_guarded_from(struct recent_set *self, size_t n)
{
    for (size_t i = 0; i < RECENT_BLOCKS; i++) {
        uint64_t word = load_relaxed(&self->blocks[i]);
        if ((word >> 32) - (n | RECENT_GUARDED) <= (n - 2) / 8 &&
            cas_acquire(&self->blocks[i], &word, 0)) // pairs with recent_give
            return (struct page_run){recent_run(word).first, recent_run(word).n & ~RECENT_GUARDED};
    }
    return (struct page_run){NO_PAGE, 0};
}

struct page_run recent_take_guarded(size_t n)
{
    size_t sets = (size_t)1 << (32 - recent_shift), from = random_below(sets);
    struct page_run run = {NO_PAGE, 0};
    for (size_t i = 0; i < sets && run.n == 0; i++)
        run = take_guarded_from(&recent_sets[(from + i) % sets], n);
    return run;
}

uint64_t recent_pages(void)
{
    uint64_t pages = 0;
    for (size_t i = 0; i < places(); i++)
        pages += recent_run(load_relaxed(place_at(i))).n & ~RECENT_GUARDED;
    return pages;
}
