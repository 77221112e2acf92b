// SPDX-License-Identifier: MIT
// Blocks that are given to a stripe, by those who get its lock and by those who leave them in its intake.
//
// Mirrors  src/buddy/page_heap.c: give_in_stripe, drain_locked, stripe_leave, take_from_stripe;
//          src/core/intake.c: intake_push, intake_is_empty, refill_taken, intake_drain, with liburcu's wait-free stack;
//          src/core/lock.c: lock_try, lock_drop.
// Two writes may be late for other threads: the unlock and a pushed node's link.  A thread's next exchange or fence
// waits for both; a read of another word does not.
//
// Properties:  no block is put away twice or lost;  one thread at a time works on the stripe;  when nobody is left in a
// call, the lock is free and the stack is empty.  One block and those below it may then still lie in what the last
// holder took, its push having been linked between that holder's look and its unlock: the next holder puts them away.
//
// MUTATE_1: no fence between the unlock and the look into the intake
// MUTATE_2: the holder does not look into the intake after the unlock
// MUTATE_3: who pushed does not try the lock again
// MUTATE_4: a link that is not there yet is read as the end of the chain
// MUTATE_5: claims that nothing is left in what was taken either, which is more than the code promises

#define THREADS 3
#define BLOCKS THREADS      // each thread gives one, its number + 1, and then takes once
#define UNLINKED 0
#define END 255

byte lock;                  // 0, or the holder's number + 1
byte head = END, taken = UNLINKED;  // taken: UNLINKED stands for NULL
byte next[BLOCKS + 1];
bool late_unlock[THREADS];  // the thread has written 0 to the lock, which others do not see yet
byte late_link[THREADS];    // the same for the link of its block
bool home[BLOCKS + 1];      // put away
byte inside;                // who works under the lock, as a check
byte done;

#define HAS_LATE(t) (late_unlock[t] || late_link[t] != UNLINKED)
#define MY_BLOCK (me + 1)

inline wait_for_own() { !HAS_LATE(me) }

// lock_try: a look, in which a thread sees its own late unlock, and an exchange.
inline try(got) {
    if
    :: lock == 0 || late_unlock[me] ->
        atomic {
            wait_for_own();
            if
            :: lock == 0 -> lock = me + 1; got = true; assert(inside == 0); inside = me + 1
            :: else -> got = false
            fi
        }
    :: lock != 0 && !late_unlock[me] -> got = false
    fi
}

inline put_away(block) {
    assert(inside == me + 1 && !home[block]); home[block] = true
}

// node: 0 when there is none, or when the next one is not linked.
inline drain_one() {
    node = 0;
    if
    :: taken == UNLINKED && head != END ->
        atomic { wait_for_own(); taken = head; head = END }
    :: else
    fi;
    if
    :: taken != UNLINKED ->
        link = (taken == MY_BLOCK && late_link[me] != UNLINKED -> late_link[me] : next[taken]);
#ifdef MUTATE_4
        if :: link == UNLINKED -> link = END :: else fi;
#endif
        if
        :: link != UNLINKED ->
            atomic { node = taken; taken = (link == END -> UNLINKED : link) }
        :: else
        fi
    :: else
    fi;
    link = 0
}

inline leave() {
    do
    ::
        do
        :: drain_one();
            if
            :: node != 0 -> put_away(node)
            :: else -> break
            fi
        od;
        atomic { inside = 0; late_unlock[me] = true }
#ifndef MUTATE_1
        wait_for_own();
#endif
#ifdef MUTATE_2
        break;
#endif
        if
        :: head == END -> break
        :: else
        fi;
        try(mine);
        if
        :: mine
        :: else -> break
        fi
    od;
    mine = false
}

inline give() {
    try(mine);
    if
    :: mine -> put_away(MY_BLOCK)
    :: else ->
        next[MY_BLOCK] = UNLINKED;
        atomic { wait_for_own(); link = head; head = MY_BLOCK }
        atomic { late_link[me] = link; link = 0 }
#ifndef MUTATE_3
        try(mine)
#endif
    fi;
    if
    :: mine -> leave()
    :: else
    fi
}

// Takes something under the lock, if it gets it.
inline take() {
    try(mine);
    if
    :: mine -> leave()
    :: else
    fi
}

inline check_chain(from) {
    node = from;
    do
    :: node == UNLINKED || node == END -> break
    :: else -> assert(!home[node]); n++; node = next[node]
    od;
    node = 0
}

// All have returned: what the last one sees, and what the next holder does.
inline check() {
    assert(lock == 0 && inside == 0 && head == END);
    check_chain(taken);
#ifdef MUTATE_5
    assert(n == 0);
#endif
    take();
    wait_for_own();
    assert(head == END && taken == UNLINKED && home[1] && home[2] && home[3])
}

active [THREADS] proctype thread() {
    byte me = _pid, node, link, n;
    bool mine, last;
    if
    :: give(); take()
    :: take(); give()
    fi;
    atomic { done++; last = (done == THREADS) }
    if
    :: last -> !HAS_LATE(0) && !HAS_LATE(1) && !HAS_LATE(2); check()
    :: else
    fi
}

// Late writes reach the others, those of one thread in turn: the unlock releases.
active proctype memory() {
    byte t;
end:
    do
    :: atomic {
        if
        :: HAS_LATE(0) -> t = 0
        :: HAS_LATE(1) -> t = 1
        :: HAS_LATE(2) -> t = 2
        fi;
        if
        :: late_link[t] != UNLINKED -> next[t + 1] = late_link[t]; late_link[t] = UNLINKED
        :: else -> late_unlock[t] = false; lock = 0
        fi;
        t = 0
    }
    od
}
