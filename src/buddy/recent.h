// SPDX-License-Identifier: MIT
// Recent blocks: large blocks that were given back a moment ago, kept whole for the next request of their
// size. Any thread; lock-free.
#ifndef TARN_BUDDY_RECENT_H
#define TARN_BUDDY_RECENT_H

#include "buddy/huge.h"
#include "core/atomics.h"
#include "core/bits.h"
#include "core/ids.h"
#include "core/os.h"
#include <stdbool.h>

#define RECENT_BLOCKS 7
#define RECENT_SIZES 64
#define RECENT_ROWS_MAX 16

// A word holds a whole block, pages << 32 | first page, or nothing, 0: so a block is in or out at every
// instruction, and a word that has not changed holds the same block. To the page heap the blocks are in use.
struct recent_set {
    _Alignas(CACHE_LINE) atomic_u64 blocks[RECENT_BLOCKS];
    atomic_u64 gives; // relaxed, roughly: gives since the start
};

// Set in a run's number of pages: the first page and the last are guards (core/guard.h). Such a run serves
// only who asks for one.
#define RECENT_GUARDED (UINT32_C(1) << 31)
// The same where the last page alone is a guard.
#define RECENT_TAILED (UINT32_C(1) << 30)
#define RECENT_FLAGS (RECENT_GUARDED | RECENT_TAILED)

struct page_run {
    page_id first;
    size_t n; // 0: no pages
};

// Rows of sets, one set for each size; few processors share a row. A pointer: of an array the compiler would
// make several addresses where it needs one.
extern struct recent_set *const recent_sets __attribute__((visibility("hidden")));
// The first sets of the rows in use are the multiples of RECENT_SIZES that fit into it.
extern uintptr_t recent_row_mask __attribute__((visibility("hidden")));

void recent_init(unsigned processors);
// Takes any block out; n == 0 when there is none. *from, 0 at first, is where the search goes on.
struct page_run recent_next(size_t *from);
// One of at least that many pages; a smaller one too that has just come.
struct page_run recent_next_of(size_t *from, size_t least);
// What lies there, in pages.
uint64_t recent_pages(void);

static inline uint64_t recent_word(page_id first, size_t n) { return (uint64_t)n << 32 | first.n; }
static inline struct page_run recent_run(uint64_t word)
{
    return (struct page_run){{(uint32_t)word}, (size_t)(word >> 32)};
}

// Sizes are divided into eight for each doubling, and each part has a set: a block that was given back waits
// where the next request of about its size looks.
static inline unsigned recent_size_shift(size_t n) { return bits_highest(n | 8) - 3; }
static inline unsigned recent_index(size_t n)
{
    unsigned shift = recent_size_shift(n);
    return (unsigned)((8 * shift + (n >> shift)) % RECENT_SIZES);
}

// The place of the calling thread's set for n pages. Threads' stacks are neighbours, mostly of a little more
// than a power of two bytes.
static inline size_t recent_near(size_t n)
{
    return (os_thread_pointer() >> 7 & recent_row_mask) + recent_index(n);
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

// Whether one of just that many pages, flags included, waits there at the moment.
static inline bool recent_holds(const struct recent_set *self, size_t n)
{
    bool holds = false;
    for (size_t i = 0; i < RECENT_BLOCKS && !holds; i++)
        holds = load_relaxed(&self->blocks[i]) >> 32 == n;
    return holds;
}

// One of the next larger part that is an eighth larger than n at most.
struct page_run recent_take_larger(size_t n);
// A block of n pages or up to an eighth more, n >= 1; n == 0 when there is none. A size that varies a little
// is served so too.
static inline struct page_run recent_take(size_t n)
{
    struct page_run run = recent_take_word(&recent_sets[recent_near(n)], n, n / 8);
    return likely(run.n != 0) ? run : recent_take_larger(n);
}

// Guarded blocks have one size in each part, so that one that waits keeps its guards. It is the guards that
// make a small one round: so two blocks of half a range fill the range. From a range on they lie in ranges of
// their own, since a range with a guard has no huge page.
static inline size_t recent_guarded_size(size_t n)
{
    if (n > HUGE_PAGES - 2)
        return align_up(max_size(n, HUGE_PAGES), (size_t)1 << recent_size_shift(max_size(n, HUGE_PAGES)));
    return align_up(n + 2, (size_t)1 << recent_size_shift(n + 1)) - 2;
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
