// SPDX-License-Identifier: MIT
#include "core/decay.h"

#include "core/options.h"
#include "core/os.h"

#define PHASE_MS_LEAST 10

atomic_u32 decay_keeper;

void decay_clock_start(struct decay_clock *self)
{
    store_relaxed(&self->last_ms, os_now_ms());
    store_relaxed(&self->phase, 0);
}

uint64_t decay_phase_ms(void)
{
    int64_t period = load_relaxed(&options.decay_ms);
    return max_size((size_t)period / DECAY_PHASES, PHASE_MS_LEAST);
}

struct decay_phases decay_clock_take(struct decay_clock *self)
{
    struct decay_phases none = {0, 0};
    if (load_relaxed(&options.decay_ms) < 0)
        return none;
    uint64_t now = os_now_ms(), last = load_relaxed(&self->last_ms), length = decay_phase_ms();
    if (now < last + length) // another thread may have moved `last` past the time that we read
        return none;
    uint64_t passed = (now - last) / length;
    bool whole_period = passed >= DECAY_PHASES;
    if (!cas_relaxed(&self->last_ms, &last, whole_period ? now : last + passed * length))
        return none;
    uint32_t n = whole_period ? DECAY_PHASES : (uint32_t)passed;
    return (struct decay_phases){fetch_add_relaxed(&self->phase, n) + 1, n};
}

void decay_want_keeper(void)
{
    uint32_t keeper = load_relaxed(&decay_keeper);
    if (keeper == KEEPER_NONE || keeper == KEEPER_ALONE)
        cas_relaxed(&decay_keeper, &keeper, KEEPER_WANTED);
}

void decay_note_slow(void)
{
    uint32_t keeper = load_relaxed(&decay_keeper);
    if (load_relaxed(&options.decay_ms) < 0)
        return;
    if (keeper == KEEPER_NONE)
        cas_relaxed(&decay_keeper, &keeper, KEEPER_WANTED);
    else if (keeper == KEEPER_ASLEEP && cas_relaxed(&decay_keeper, &keeper, KEEPER_AWAKE))
        os_unpark_one(&decay_keeper);
}
