// SPDX-License-Identifier: MIT
#include "core/lock.h"

#include "core/os.h"
#include "core/tsan.h"
#include <ck_pr.h>
#include <stdlib.h>

// About two microseconds of trying: longer than any critical section here takes when its holder is running.
#define SPINS 60

static _Thread_local char mark;

uintptr_t thread_mark(void) { return (uintptr_t)&mark; }

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
    store_relaxed(&self->owner, 0);
}

static bool take_free(struct lock *self)
{
    uint32_t free = 0;
    return load_relaxed(&self->word) == 0 && cas_acquire(&self->word, &free, 1); // pairs with lock_drop
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
    store_relaxed(&self->owner, thread_mark());
    return true;
}

void lock_take(struct lock *self)
{
    rank_push(self, false);
    bool taken = false;
    for (int i = 0; i < SPINS && !(taken = take_free(self)); i++)
        pause_briefly();
    // Having slept, we cannot know whether others still do, so we leave the word at 2.
    while (!taken && exchange_acquire(&self->word, 2) != 0) // pairs with lock_drop
        os_park(&self->word, 2);
    store_relaxed(&self->owner, thread_mark());
}

void lock_drop(struct lock *self)
{
    rank_pop(self);
    store_relaxed(&self->owner, 0);
    if (exchange_release(&self->word, 0) == 2) // pairs with take_free and lock_take
        os_unpark_one(&self->word);
}

bool lock_is_mine(const struct lock *self)
{
    return load_relaxed(&self->owner) == thread_mark(); // relaxed: only our own store can make it equal
}

bool lock_reset_after_fork(struct lock *self)
{
    if (lock_is_mine(self))
        return false;
    // Between taking the word and naming the owner a holder is nameless, but it holds all the same.
    bool held = load_relaxed(&self->word) != 0;
    store_relaxed(&self->owner, 0);
    store_release(&self->word, 0);
    return held;
}
