// SPDX-License-Identifier: MIT
#include "core/lock.h"

#include "core/os.h"
#include "core/tsan.h"
#include <ck_pr.h>
#include <stdlib.h>

// About two microseconds of trying: longer than any critical section here takes when its holder is running.
#ifdef TARN_EXPLORE
#define SPINS 1 // each is a step that schedules differ in
#else
#define SPINS 60
#endif

static _Thread_local char here;

// The local storage of two threads is more than two pages and less than 8 TiB apart.
uint32_t thread_key(void) { return (uint32_t)((uintptr_t)&here >> 12) << 1 | 2; }

#if TARN_VALIDATE
static _Thread_local uint32_t held_ranks;

// Two locks of one rank are never held together, except that a holder may try a second one.
static void rank_push(const struct lock *self, bool tried)
{
    if (!tried && (held_ranks >> self->rank) != 0)
        abort();
    held_ranks |= 1u << self->rank;
}

static void rank_pop(const struct lock *self) { held_ranks &= ~(1u << self->rank); }
#else
static void rank_push(const struct lock *self, bool tried) { (void)self, (void)tried; }
static void rank_pop(const struct lock *self) { (void)self; }
#endif

void lock_init(struct lock *self, enum lock_rank rank)
{
    store_relaxed(&self->word, 0);
    self->rank = rank;
}

static bool take_free(struct lock *self)
{
    uint32_t free = 0;
    return load_relaxed(&self->word) == 0 &&
           cas_acquire(&self->word, &free, thread_key()); // pairs with lock_drop
}

static void pause_briefly(void)
{
#if TARN_TSAN
    os_yield(); // the sanitizer's own locks starve when everybody spins
#else
    ck_pr_stall();
#endif
}

bool lock_try(struct lock *self)
{
    if (!take_free(self))
        return false;
    rank_push(self, true);
    return true;
}

// Sleeps once, or takes the lock. Having slept, we cannot know whether others still do, so the mark stays.
static bool sleep_or_take(struct lock *self)
{
    uint32_t word = load_relaxed(&self->word);
    if (word == 0)
        return cas_acquire(&self->word, &word, thread_key() | 1); // pairs with lock_drop
    if ((word & 1) != 0 || cas_acquire(&self->word, &word, word | 1))
        os_park(&self->word, word | 1);
    return false;
}

void lock_take(struct lock *self)
{
    rank_push(self, false);
    for (int i = 0; i < SPINS; i++) {
        if (take_free(self))
            return;
        pause_briefly();
    }
    while (!sleep_or_take(self))
        continue;
}

void lock_drop(struct lock *self)
{
    rank_pop(self);
    if ((exchange_release(&self->word, 0) & 1) != 0) // pairs with take_free and sleep_or_take
        os_unpark_one(&self->word);
}

bool lock_is_mine(const struct lock *self)
{
    return (load_relaxed(&self->word) & ~1u) == thread_key(); // relaxed: only our own step can make it equal
}

bool lock_reset_after_fork(struct lock *self)
{
    // A free lock is not written to: that would cost the child a copy of the page.
    if (load_relaxed(&self->word) == 0 || lock_is_mine(self))
        return false;
    store_relaxed(&self->word, 0);
    return true;
}
