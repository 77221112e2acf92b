// SPDX-License-Identifier: MIT
// Recent blocks: large blocks that were given back a moment ago, kept whole for the next request of their
// size. Any thread; lock-free.
#ifndef TARN_BUDDY_RECENT_H
#define TARN_BUDDY_RECENT_H

#include "core/atomics.h"
#include "core/bits.h"
#include "core/ids.h"

#define RECENT_BLOCKS 7
#define RECENT_SETS_MAX 64

// A word holds a whole block, pages << 32 | first page, or nothing, 0: so a block is in or out at every
// instruction, and a word that has not changed holds the same block. To the page heap the blocks are in use.
struct recent_set {
    _Alignas(CACHE_LINE) atomic_u64 blocks[RECENT_BLOCKS];
    atomic_u64 gives; // relaxed, roughly: gives since the start
};

// Set in a run's number of pages: the first page and the last are guards (core/guard.h). Such a run serves
// only who asks for one.
#define RECENT_GUARDED (UINT32_C(1) << 31)

struct page_run {
    page_id first;
    size_t n; // 0: no pages
};

extern struct recent_set recent_sets[RECENT_SETS_MAX] __attribute__((visibility("hidden")));
// 32 - log2 of the sets in use
extern uint32_t recent_shift __attribute__((visibility("hidden")));

// Keeps blocks in about as many sets as that.
void recent_init(unsigned sets);
// Takes any block out; n == 0 when there is none. *from, 0 at first, is where the search goes on.
struct page_run recent_next(size_t *from);
// What lies there, in pages.
uint64_t recent_pages(void);

static inline uint64_t recent_word(page_id first, size_t n) { return (uint64_t)n << 32 | first.n; }
static inline struct page_run recent_run(uint64_t word)
{
    return (struct page_run){{(uint32_t)word}, (size_t)(word >> 32)};
}

// Threads are spread over the sets by their thread pointer.
static inline struct recent_set *recent_near(void)
{
    uint32_t key = (uint32_t)((uintptr_t)__builtin_thread_pointer() >> 12) * UINT32_C(0x9e3779b1);
    return &recent_sets[key >> recent_shift];
}

// A block of n pages or up to an eighth more, n >= 1; n == 0 when there is none. A size that varies a little
// is served so too.
static inline struct page_run recent_take(struct recent_set *self, size_t n)
{
    for (size_t i = 0; i < RECENT_BLOCKS; i++) {
        uint64_t word = load_relaxed(&self->blocks[i]);
        if ((word >> 32) - n <= n / 8 && cas_acquire(&self->blocks[i], &word, 0)) // pairs with recent_give
            return recent_run(word);
    }
    return (struct page_run){NO_PAGE, 0};
}

// The same among the guarded ones of all sets, from any place on; n counts the guards.
struct page_run recent_take_guarded(size_t n);

// Puts a block in; returns the one that had to make room, if any.
static inline struct page_run recent_give(struct recent_set *self, page_id first, size_t n)
{
    uint64_t gives = load_relaxed(&self->gives), empty = 0;
    store_relaxed(&self->gives, gives + 1);
    for (size_t i = 0; i < RECENT_BLOCKS; i++, empty = 0)
        if (load_relaxed(&self->blocks[i]) == 0 &&
            cas_release(&self->blocks[i], &empty, recent_word(first, n))) // pairs with recent_take
            return (struct page_run){NO_PAGE, 0};
    return recent_run(exchange_acq_rel(&self->blocks[gives % RECENT_BLOCKS], recent_word(first, n)));
}

#endif
