// SPDX-License-Identifier: MIT
// The decay clock, and the word by which whoever frees memory and the background thread find each other.
// Any thread.
#ifndef TARN_CORE_DECAY_H
#define TARN_CORE_DECAY_H

#include "core/atomics.h"
#include "core/bits.h"

// A period of TARN_DECAY_MS has so many phases; at each of them a part of what is due goes back, so that
// memory returns evenly and no step takes long.
#define DECAY_PHASES 8

struct decay_clock {
    atomic_u64 last_ms; // relaxed: whoever moves it does the work of the phases that have passed
    atomic_u32 phase;   // relaxed: of the last one that was done
};

struct decay_phases {
    uint32_t first, n; // n <= DECAY_PHASES; phases are counted modulo DECAY_PHASES
};

void decay_clock_start(struct decay_clock *self);
// The phases that are due and from now on the caller's to work off; mostly none.
struct decay_phases decay_clock_take(struct decay_clock *self);
// Length of a phase; at least 10. Only when TARN_DECAY_MS >= 0.
uint64_t decay_phase_ms(void);

// The background thread's state:
//
//   NONE ──note──> WANTED ──it starts──> AWAKE <──note── ASLEEP      any ──> STOPPED, at exit
//                  │    ↑                  └── nothing decays ──┘
//                  └─> ALONE: the process has one thread and is to keep it so until there is a second
//
// A note comes after the memory it is about was made free. Nothing orders the two for the sleeper: it goes to
// sleep by writing ASLEEP, waiting for one more phase, and looking for work again; a note that still read
// AWAKE was, by then, visible long ago.
enum decay_keeper { KEEPER_NONE, KEEPER_ASLEEP, KEEPER_WANTED, KEEPER_ALONE, KEEPER_AWAKE, KEEPER_STOPPED };

extern atomic_u32 decay_keeper __attribute__((visibility("hidden")));

void decay_note_slow(void);
// There may be reason to have the thread: another one uses the heap, or what stood in the way is gone. It is
// started ahead of the first memory that decays, because a program may be freeing only from then on.
void decay_want_keeper(void);

// Something is free that will go back when it has been so for long enough.
static inline void decay_note(void)
{
    if (unlikely(load_relaxed(&decay_keeper) <= KEEPER_ASLEEP))
        decay_note_slow();
}

#endif
