// SPDX-License-Identifier: MIT
// Recent blocks: large blocks that were given back a moment ago, kept whole for the next request of their
// size. Any thread; lock-free.
#ifndef TARN_BUDDY_RECENT_H
#define TARN_BUDDY_RECENT_H

#include "core/atomics.h"
#include "core/bits.h"
#include "core/ids.h"
#include "core/os.h"
#include <stdbool.h>

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

// Keeps blocks in about as many sets as that; guarded ones in all.
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
    uint32_t key = (uint32_t)(os_thread_pointer() >> 12) * UINT32_C(0x9e3779b1);
    return &recent_sets[key >> recent_shift];
}

// A block whose upper half of the word is in [least, least + slack].
static inline struct page_run recent_take_word(struct recent_set *self, size_t least, size_t slack)
{
    for (size_t i = 0; i < RECENT_BLOCKS; i++) {
        uint64_t word = load_relaxed(&self->blocks[i]);
        if ((word >> 32) - least <= slack &&
            cas_acquire(&self->blocks[i], &word, 0)) // pairs with recent_keep and recent_displace
            return recent_run(word);
    }
    return (struct page_run){NO_PAGE, 0};
}

// A block of n pages or up to an eighth more, n >= 1; n == 0 when there is none. A size that varies a little
// is served so too.
static inline struct page_run recent_take(struct recent_set *self, size_t n)
{
    return recent_take_word(self, n, n / 8);
}

// Guarded runs are a few sizes, eight for each doubling, and each size has a set: a run that was freed waits
// where the next request of about its size looks, and so keeps its guards. Of n pages, the next larger size.
static inline unsigned recent_size_shift(size_t n) { return n <= 8 ? 0 : bits_highest(n - 1) - 3; }
static inline size_t recent_guarded_size(size_t n) { return align_up(n, (size_t)1 << recent_size_shift(n)); }
static inline struct recent_set *recent_of_size(size_t n)
{
    unsigned shift = recent_size_shift(n);
    return &recent_sets[(8 * shift + (n >> shift)) % RECENT_SETS_MAX];
}

// Counts a give.
static inline uint64_t recent_count(struct recent_set *self)
{
    uint64_t gives = load_relaxed(&self->gives) + 1;
    store_relaxed(&self->gives, gives);
    return gives;
}

// Puts a block in where there is room.
static inline bool recent_keep(struct recent_set *self, page_id first, size_t n)
{
    uint64_t word = recent_word(first, n);
    for (size_t i = 0; i < RECENT_BLOCKS; i++) {
        uint64_t empty = 0;
        if (load_relaxed(&self->blocks[i]) == 0 &&
            cas_release(&self->blocks[i], &empty, word)) // pairs with recent_take
            return true;
    }
    return false;
}

// Puts a block in the place of another, which it returns; places take turns.
struct page_run recent_displace(struct recent_set *self, page_id first, size_t n);

#endif
