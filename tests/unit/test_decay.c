// SPDX-License-Identifier: MIT
#include "core/decay.h"

#include "core/options.h"
#include "core/os.h"
#include <criterion/criterion.h>

static void let_pass(struct decay_clock *clock, uint64_t ms)
{
    store_relaxed(&clock->last_ms, os_now_ms() - ms);
}

static void period_of_eight_seconds(void) { store_relaxed(&options.decay_ms, 8000); }

TestSuite(decay, .init = period_of_eight_seconds);

Test(decay, nothing_is_due_before_a_phase_has_passed)
{
    struct decay_clock clock = {0};
    decay_clock_start(&clock);
    cr_assert_eq(decay_clock_take(&clock).n, 0);
    let_pass(&clock, 500);
    cr_assert_eq(decay_clock_take(&clock).n, 0);
}

Test(decay, each_phase_is_due_once_in_turn)
{
    struct decay_clock clock = {0};
    uint32_t next = 1;
    for (int i = 0; i < 20; i++) {
        let_pass(&clock, 1000);
        struct decay_phases due = decay_clock_take(&clock);
        cr_assert_eq(due.n, 1);
        cr_assert_eq(due.first, next++);
        cr_assert_eq(decay_clock_take(&clock).n, 0);
    }
}

Test(decay, who_comes_late_makes_up_for_it_but_for_one_period_at_most)
{
    struct decay_clock clock = {0};
    let_pass(&clock, 3500);
    cr_assert_eq(decay_clock_take(&clock).n, 3);
    let_pass(&clock, 20000);
    cr_assert_eq(decay_clock_take(&clock).n, DECAY_PHASES);
    cr_assert_eq(decay_clock_take(&clock).n, 0);
}

Test(decay, a_part_of_a_phase_counts_for_the_next)
{
    struct decay_clock clock = {0};
    let_pass(&clock, 1600);
    uint64_t began = load_relaxed(&clock.last_ms);
    cr_assert_eq(decay_clock_take(&clock).n, 1);
    cr_assert_eq(load_relaxed(&clock.last_ms), began + 1000);
}

Test(decay, never_is_never)
{
    struct decay_clock clock = {0};
    store_relaxed(&options.decay_ms, -1);
    let_pass(&clock, 20000);
    cr_assert_eq(decay_clock_take(&clock).n, 0);
    decay_note();
    cr_assert_eq(load_relaxed(&decay_keeper), KEEPER_NONE);
}

Test(decay, phases_are_no_shorter_than_ten_milliseconds)
{
    store_relaxed(&options.decay_ms, 8);
    cr_assert_eq(decay_phase_ms(), 10);
    store_relaxed(&options.decay_ms, 800);
    cr_assert_eq(decay_phase_ms(), 100);
}

Test(decay, a_note_asks_for_a_thread_or_wakes_it)
{
    decay_note();
    cr_assert_eq(load_relaxed(&decay_keeper), KEEPER_WANTED);
    decay_note();
    cr_assert_eq(load_relaxed(&decay_keeper), KEEPER_WANTED);
    store_relaxed(&decay_keeper, KEEPER_ASLEEP);
    decay_note();
    cr_assert_eq(load_relaxed(&decay_keeper), KEEPER_AWAKE);
    store_relaxed(&decay_keeper, KEEPER_STOPPED);
    decay_note();
    cr_assert_eq(load_relaxed(&decay_keeper), KEEPER_STOPPED);
}
