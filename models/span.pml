// SPDX-License-Identifier: MIT
// A span's state beside its bitmap: threads hold, take, give, release, list, sweep and retire without end.
//
// Mirrors  src/core/span.c: span_step_give, span_step_take, span_step_hold, span_step_release, span_take,
//          span_give_bits, span_make_small;
//          src/core/central.c: central_take, hold_from_bucket, hold_popped, central_release, list_span, retire,
//          give_word, count_given, note_empty, sweep_bucket, central_trim.
// A bucket is a set of spans here, each step on it is whole (stacks.pml shows that).  Where the code sweeps from some
// number of empty spans on, a thread here may sweep or not.
//
// Properties:  a slot has one owner;  a span is retired only when all slots are free and no give is under way, and
// is not touched afterwards;  whoever holds a listed or kept span takes something;  whenever no call is under way the
// bits agree with the count, and a span with free slots is held, listed in one bucket, or gone.
//
// MUTATE_1: a give counts before it sets the bits
// MUTATE_2: the first give to a full span does not list it
// MUTATE_3: the release's step is made from a state that was read before
// MUTATE_4: the holder stores the bitmap word instead of clearing bits in it
// MUTATE_5: the release judges by the bits instead of the count

#define THREADS 2
#define SPANS 2
#define SLOTS 3
#define ALL 7
#define BUCKETS 2
#define NONE SPANS

#define COUNT(mask) (((mask) & 1) + ((mask) >> 1 & 1) + ((mask) >> 2))
#define BUCKET_OF(free) ((free) * BUCKETS / (SLOTS + 1))
#define IN(b, s) ((bucket[b] >> (s)) & 1)

mtype = { HELD, LISTED, FULL, NOTHING, LIST, LIST_EMPTY, NOTE_EMPTY, RETIRE }

typedef span {
    mtype mode;
    short free;
    byte bits;
    bool live;              // its pages are the span's
    short giving;           // gives between bits and count
    byte own[THREADS]       // slots that a thread has
}
span spans[SPANS];
byte bucket[BUCKETS];       // bit s: span s
byte held[THREADS] = NONE;        // what a thread keeps from one take to the next
short listed, wholly_free; // as counted
byte busy;                  // threads inside a call

inline list(s) {
    to = BUCKET_OF(spans[s].free);
    atomic {
        assert(spans[s].live && !IN(0, s) && !IN(1, s));
        bucket[to] = bucket[to] | (1 << s); listed++; to = 0
    }
}

inline release(s) {
#ifdef MUTATE_3
    now_free = spans[s].free;
#endif
    atomic {
#ifndef MUTATE_3
        now_free = spans[s].free;
#endif
#ifdef MUTATE_5
        now_free = COUNT(spans[s].bits);
#endif
        if
        :: now_free == SLOTS ->
            duty = RETIRE;
            assert(spans[s].bits == ALL && spans[s].giving == 0 && !spans[s].own[0] && !spans[s].own[1])
        :: now_free <= 0 -> spans[s].mode = FULL; duty = NOTHING
        :: else -> spans[s].mode = LISTED; duty = LIST
        fi;
#ifdef MUTATE_3
        spans[s].free = now_free;
#endif
        now_free = 0
    }
    if
    :: duty == RETIRE -> atomic { assert(spans[s].live); spans[s].live = false }
    :: duty == LIST -> list(s)
    :: else
    fi
}

inline hold_popped(s) {
    atomic {
        assert(spans[s].live && spans[s].mode == LISTED && spans[s].free > 0);
        spans[s].mode = HELD; listed--;
        if :: spans[s].free == SLOTS -> wholly_free-- :: else fi
    }
}

inline sweep() {
    for (b : 0 .. BUCKETS - 1) {
        atomic { detached = bucket[b]; bucket[b] = 0 }
        do
        :: detached == 0 -> break
        :: else ->
            atomic { got = (detached & 1 -> 0 : 1); detached = detached & ~(1 << got) }
            hold_popped(got); release(got)
        od
    }
    b = 0; got = NONE
}

// got: a span that the caller now holds, or NONE.
inline hold_any() {
    b = 0; relocations = 1; got = NONE;
    do
    :: b == BUCKETS -> break
    :: else ->
        atomic {
            if
            :: IN(b, 0) -> got = 0; bucket[b] = bucket[b] & ~1
            :: IN(b, 1) -> got = 1; bucket[b] = bucket[b] & ~2
            :: bucket[b] == 0 -> b++
            fi
        }
        if
        :: got == NONE
        :: else ->
            hold_popped(got);
            if
            :: BUCKET_OF(spans[got].free) <= b || relocations == 0 -> break
            :: else -> relocations--; release(got); got = NONE
            fi
        fi
    od;
    if
    :: got == NONE -> // make_span
        atomic {
            if
            :: !spans[0].live -> got = 0; spans[0].live = true
            :: spans[0].live && !spans[1].live -> got = 1; spans[1].live = true
            :: else
            fi
        }
        if
        :: got != NONE -> spans[got].bits = ALL; atomic { spans[got].mode = HELD; spans[got].free = SLOTS }
        :: else
        fi
    :: else
    fi;
    atomic { b = 0; relocations = 0 }
}

// Takes one slot or all that there are.
inline take() {
    got = held[me]; held[me] = NONE;
    if
    :: got == NONE -> hold_any()
    :: else
    fi;
    if
    :: got == NONE // no pages
    :: else ->
        atomic {
            mask = spans[got].bits; seen = mask; assert(mask != 0);
            if
            :: mask == ALL -> mask = 1
            :: true
            fi
        }
        atomic {
#ifdef MUTATE_4
            spans[got].bits = seen & ~mask;
#else
            spans[got].bits = spans[got].bits & ~mask;
#endif
            seen = 0;
            assert(((spans[got].own[0] | spans[got].own[1]) & mask) == 0);
            spans[got].own[me] = spans[got].own[me] | mask
        }
        atomic {
            spans[got].mode = HELD; spans[got].free = spans[got].free - COUNT(mask);
            mask = 0
        }
        if
        :: spans[got].free > 0 -> held[me] = got // the caller keeps it
        :: release(got)
        fi
    fi;
    got = NONE
}

inline set_bits() {
    atomic {
        assert(spans[got].live && (spans[got].bits & mask) == 0);
        spans[got].bits = spans[got].bits | mask;
        spans[got].own[me] = spans[got].own[me] & ~mask; spans[got].giving++
    }
}

inline count_given() {
    atomic {
        assert(spans[got].live);
        spans[got].free = spans[got].free + COUNT(mask); spans[got].giving--;
        duty = NOTHING;
        if
        :: spans[got].mode == FULL && spans[got].free > 0 ->
            spans[got].mode = LISTED;
            duty = (spans[got].free == SLOTS -> LIST_EMPTY : LIST)
        :: spans[got].mode == LISTED && spans[got].free == SLOTS -> duty = NOTE_EMPTY
        :: else
        fi
    }
}

inline give() {
    atomic {
        if
        :: spans[0].own[me] -> got = 0
        :: spans[1].own[me] -> got = 1
        fi;
        mask = spans[got].own[me];
        if
        :: mask == ALL -> mask = 1
        :: true
        fi
    }
#ifdef MUTATE_1
    count_given(); set_bits();
#else
    set_bits(); count_given();
#endif
    if
#ifndef MUTATE_2
    :: duty == LIST || duty == LIST_EMPTY -> list(got)
#endif
    :: else
    fi;
    if
    :: duty == LIST_EMPTY || duty == NOTE_EMPTY ->
        wholly_free++;
        if
        :: sweep()
        :: true
        fi
    :: else
    fi;
    atomic { got = NONE; mask = 0 }
}

inline check_span(s) {
    if
    :: spans[s].live ->
        assert(COUNT(spans[s].bits) == spans[s].free && spans[s].giving == 0);
        assert((spans[s].bits | spans[s].own[0] | spans[s].own[1]) == ALL);
        assert((spans[s].mode == HELD) == (held[0] == s || held[1] == s) && (held[0] != s || held[1] != s));
        assert((spans[s].mode == LISTED) == (IN(0, s) + IN(1, s) == 1));
        assert(spans[s].mode == LISTED || !(IN(0, s) || IN(1, s)));
        assert((spans[s].mode == FULL) == (spans[s].free == 0 && spans[s].mode != HELD))
    :: else -> assert(!IN(0, s) && !IN(1, s))
    fi
}

#define LISTED_AT(s) (IN(0, s) + IN(1, s))
#define EMPTY_AT(s) (LISTED_AT(s) && spans[s].free == SLOTS)

active [THREADS] proctype thread() {
    byte me = _pid, got = NONE, mask, b, to, detached, relocations, seen;
    short now_free;
    mtype duty = NOTHING;
    do
    :: atomic { busy++ }
        if
        :: take()
        :: spans[0].own[me] || spans[1].own[me] -> give()
        :: held[me] != NONE -> got = held[me]; held[me] = NONE; release(got); got = NONE
        :: wholly_free > 0 -> sweep()
        :: true
        fi;
        atomic {
            busy--; duty = NOTHING;
            if
            :: busy == 0 ->
                check_span(0); check_span(1);
                assert(listed == LISTED_AT(0) + LISTED_AT(1) && wholly_free == EMPTY_AT(0) + EMPTY_AT(1))
            :: else
            fi
        }
    od
}
