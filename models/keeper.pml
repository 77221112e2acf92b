// SPDX-License-Identifier: MIT
// The background thread's sleep beside threads that free memory, without end.
//
// Mirrors  src/core/background.c: keep, step, fall_asleep;  src/core/decay.h, decay.c: decay_note, decay_note_slow;
//          src/core/central.c: count_given, note_restless, visit_is_due, visit_spans, class_is_settled.
// What a thread freed is one bit. A relaxed store may be late: it waits in the thread's buffer while the thread goes on, until
// its next exchange, or until a phase of the decay has passed.
//
// Properties:  when no call is under way and the background thread sleeps without a limit, nothing is left that it
// should give back.
//
// MUTATE_1: a give notes before it counts
// MUTATE_2: the background thread falls asleep after one look
// MUTATE_3: it does not wait for a phase before the second
// MUTATE_4: a note does not wake it

#define THREADS 2

mtype = { AWAKE, ASLEEP }

mtype keeper = AWAKE;
bool freed;                 // memory that a visit gives back
bool restless;              // a visit may find some
bool late[THREADS];         // the store to restless is in the thread's buffer
bool waits;                 // the keeper sleeps without a limit
byte busy;

#define IS_LATE (late[0] || late[1])

inline check() { assert(!(waits && keeper == ASLEEP && busy == 0 && !IS_LATE) || !freed) }

inline count() { freed = true }

inline note() {
    if
    :: !restless -> late[me] = true
    :: else
    fi;
    if
    :: keeper == ASLEEP ->
#ifndef MUTATE_4
        atomic { !late[me] -> if :: keeper == ASLEEP -> keeper = AWAKE :: else fi }
#else
        skip
#endif
    :: else
    fi
}

active [THREADS] proctype thread() {
    byte me = _pid;
    do
    ::
        busy++;
#ifdef MUTATE_1
        note(); count();
#else
        count(); note();
#endif
        atomic { busy--; check() }
    od
}

active proctype memory() {
    do
    :: atomic { late[0] -> late[0] = false; restless = true; check() }
    :: atomic { late[1] -> late[1] = false; restless = true; check() }
    od
}

// A look gives back what was noted.
inline step() {
    if
    :: restless -> restless = false; freed = false
    :: else
    fi;
    settled = !restless
}

active proctype background() {
    bool settled;
    do
    ::
        step();
        if
        :: !settled // and sleeps for a phase
        :: else ->
            keeper = ASLEEP;
#ifndef MUTATE_2
#ifndef MUTATE_3
            !IS_LATE;
#endif
            step();
            atomic { if :: !settled && keeper == ASLEEP -> keeper = AWAKE :: else fi }
#endif
            atomic { waits = true; check() }
            atomic { keeper == AWAKE -> waits = false }
        fi
    od
}
