// SPDX-License-Identifier: MIT
// Recent blocks and the decay: threads take and free blocks of one page or two and return what is free to the kernel,
// without end.
//
// Mirrors  src/buddy/recent.h, recent.c: recent_take, recent_keep, recent_displace, recent_next;
//          src/buddy/page_heap.c: take_once, page_heap_give_recent, give_recent, stripe_give_locked, stripe_take_locked,
//          take_from_new_zone, release_free_zones, take_purgeable_locked, purge_zone;
//          src/buddy/zone.c: zone_find_purgeable, note_taken, zone_give, zone_age;  src/buddy/zone_table.c: purge_one.
// There is one zone of two pages, and a set of one word.  The intake is left out (intake.pml): a give waits for the
// lock.  What runs under a lock is one step.
//
// Properties:  a page has one owner, the kernel's work on it included;  a page that is said to be clean was not used
// since it was purged;  after a call a thread has the pages that it took, and no others;  used and dirty never meet, and what is aged is dirty.
//
// MUTATE_1: pages do not count as used while the kernel works on them
// MUTATE_2: a purge that the kernel refused leaves its pages clean
// MUTATE_3: a block is taken out of the set by a read and a write
// MUTATE_4: the walk over the set reads and then writes
// MUTATE_5: a block that makes room in the set for a newer one is not given home
// MUTATE_6: the purge does not look again whether the zone is still the stripe's

#define THREADS 2
#define PLACES 1
#define NOBODY 0            // owners: NOBODY, SET, a thread, the kernel by a thread's call
#define SET 1
#define ME (2 + me)
#define KERNEL (2 + THREADS + me)
#define SIZE(mask) (((mask) & 1) + ((mask) >> 1))

byte used, dirty, aged;     // the zone's bits
bool in_stripe = true;      // a zone in neither is on its way from one to the other, or the kernel works on it
bool in_table;
byte recent[PLACES];        // a word: the block's pages as a mask, 0 for nothing
bit gives;
byte owner[2];
bool content[2];            // what only a purge removes

inline own(mask, from, to) {
    if :: (mask) & 1 -> assert(owner[0] == from); owner[0] = to :: else fi;
    if :: (mask) & 2 -> assert(owner[1] == from); owner[1] = to :: else fi
}

inline check_zone() { assert((used & dirty) == 0 && (aged & ~dirty) == 0) }

inline note_taken(mask) {
    assert(in_stripe && (used & (mask)) == 0);
    clean = (dirty & (mask)) == 0;
    dirty = dirty & ~(mask); aged = aged & ~(mask); used = used | (mask);
    check_zone()
}

// A stripe that has another free zone lets this one go.
inline stripe_give_locked(mask, is_dirty) {
    assert(in_stripe && (used & (mask)) == (mask));
    used = used & ~(mask);
    if :: is_dirty -> dirty = dirty | (mask) :: else fi;
    check_zone();
    if
    :: used == 0 -> in_stripe = false; in_table = true
    :: true
    fi
}

inline give_run(mask) { atomic { own(mask, ME, NOBODY); stripe_give_locked(mask, true) } }

inline give_recent() {
    for (i : 0 .. PLACES - 1) {
#ifdef MUTATE_4
        out = recent[i];
        atomic { recent[i] = 0; own(out, SET, ME) }
#else
        if
        :: recent[i] != 0 -> atomic { out = recent[i]; recent[i] = 0; own(out, SET, ME) }
        :: else
        fi;
#endif
        if :: out != 0 -> give_run(out) :: else fi;
        out = 0
    }
    i = 0
}

inline recent_take(n) {
    for (i : 0 .. PLACES - 1) {
        out = recent[i];
        if
        :: mine == 0 && SIZE(out) == n ->
            atomic {
                if
#ifdef MUTATE_3
                :: true ->
#else
                :: recent[i] == out ->
#endif
                    recent[i] = 0; own(out, SET, ME); mine = out; clean = false
#ifndef MUTATE_3
                :: else
#endif
                fi
            }
        :: else
        fi
    }
    atomic { i = 0; out = 0 }
}

inline stripe_take_locked(n) {
    atomic {
        if
        :: in_stripe && n == 2 && used == 0 -> mine = 3
        :: in_stripe && n == 1 && used != 3 -> mine = (used & 1 -> 2 : 1)
        :: else
        fi;
        if :: mine != 0 -> note_taken(mine); own(mine, NOBODY, ME) :: else fi
    }
}

inline take(n) {
    recent_take(n);
    if :: mine == 0 -> stripe_take_locked(n) :: else fi;
    if :: mine == 0 -> give_recent(); stripe_take_locked(n) :: else fi;
    if
    :: mine == 0 -> // take_from_new_zone
        if
        :: atomic { in_table -> in_table = false }
            atomic { in_stripe = true }
            stripe_take_locked(n)
        :: else
        fi
    :: else
    fi;
    atomic {
        assert(!(clean && ((mine & 1 && content[0]) || (mine & 2 && content[1]))));
        clean = false
    }
    if :: mine & 1 -> content[0] = true :: else fi;
    if :: mine & 2 -> content[1] = true :: else fi
}

inline give() {
    number = gives;
    gives = number + 1;
    for (i : 0 .. PLACES - 1) {
        if
        :: mine != 0 && recent[i] == 0 ->
            atomic {
                if
                :: recent[i] == 0 -> recent[i] = mine; own(mine, ME, SET); mine = 0
                :: else
                fi
            }
        :: else
        fi
    }
    i = 0;
    if
    :: mine != 0 ->
        atomic {
            out = recent[number % PLACES]; recent[number % PLACES] = mine;
            own(out, SET, ME); own(mine, ME, SET); mine = 0
        }
#ifndef MUTATE_5
        if :: out != 0 -> give_run(out) :: else fi;
#endif
        out = 0
    :: else
    fi;
    number = 0
}

// The kernel's work on pages that are `owned`; it may refuse.
inline os_purge(mask) {
    if
    :: gone = true;
        if :: mask & 1 -> assert(owner[0] == KERNEL); content[0] = false :: else fi;
        if :: mask & 2 -> assert(owner[1] == KERNEL); content[1] = false :: else fi
    :: gone = false
    fi
}

// zone_table.c: purge_one.
inline purge_table() {
    atomic {
        if
        :: in_table && dirty != 0 && (all || aged != 0) -> in_table = false; out = 3; own(3, NOBODY, KERNEL)
        :: in_table && !(dirty != 0 && (all || aged != 0)) -> aged = dirty
        :: else
        fi
    }
    if
    :: out != 0 ->
        os_purge(3);
        atomic {
            if :: gone -> dirty = 0; aged = 0 :: else fi;
            own(3, KERNEL, NOBODY); in_table = true
        }
    :: else
    fi;
    out = 0
}

// Under the lock: the next run of pages to purge, or the end.
inline take_purgeable() {
    out = (dirty >> i) << i;
    if
#ifndef MUTATE_6
    :: !in_stripe -> out = 0
#endif
    :: in_stripe && !all && (aged & out) == 0 -> out = 0; aged = dirty
    :: in_stripe && all && out == 0 -> aged = dirty
    :: else ->
#ifndef MUTATE_1
        note_taken(out);
#endif
        own(out, NOBODY, KERNEL)
    fi
}

inline purge_zone() {
    atomic { take_purgeable() }
    do
    :: out == 0 -> break
    :: else ->
        os_purge(out);
        atomic {
            own(out, KERNEL, NOBODY);
#ifdef MUTATE_1
            used = used | out;
#endif
#ifdef MUTATE_2
            stripe_give_locked(out, false);
#else
            stripe_give_locked(out, !gone);
#endif
            i = (out == 1 -> 1 : 2);
            take_purgeable()
        }
    od;
    i = 0
}

inline release_free_zones() {
    atomic { in_stripe && used == 0 -> in_stripe = false }
    atomic { in_table = true }
}

active [THREADS] proctype thread() {
    byte me = _pid, mine, out, i;
    bool clean, all, gone;
    bit number;
    do
    ::
        if
        :: mine == 0 -> take(1)
        :: mine == 0 -> take(2)
        :: mine != 0 -> give()
        :: if :: all = true :: true fi;
            give_recent(); purge_table(); purge_zone()
        :: release_free_zones()
        fi;
        atomic {
            all = false; gone = false; clean = false;
            assert((owner[0] == ME) + 2 * (owner[1] == ME) == mine && owner[0] != KERNEL && owner[1] != KERNEL)
        }
    od
}
