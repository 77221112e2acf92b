// SPDX-License-Identifier: MIT
// Stacks in one word: elements travel between two of them, so that links below a top change under a late reader.
//
// Mirrors  src/core/central.c: bucket_push, bucket_pop, bucket_word, sweep_bucket (stack B);
//          src/core/batch.c: push, pop, word_of, batch_push, batch_pop (stack A, bounded by its depth field).
// A word is compared and exchanged whole.  A weak exchange may also fail for nothing.  Tags count on without wrapping:
// each thread makes a bounded number of steps.
//
// Properties, at each exchange:  the chain from the top is just the elements that are in the stack, in its depth;  no
// element is popped by two or lost;  the bound holds.  Whoever detaches a stack finds all its elements.
//
// MUTATE_1: the tag stays the same
// MUTATE_2: a push that was refused keeps the link it had written
// MUTATE_3: a pop reads the link before the word that it exchanges
// MUTATE_4: a stack is detached by a read and a write
// MUTATE_5: the bound is looked at once, before the first try

#define NODES 3             // 1 .. 3; 0 is none
#define THREADS 3
#define ROUNDS(thread) (thread == 0 -> 2 : 1)
#define A 0
#define B 1
#define BOUND 2             // of stack A
#define OF_THREAD 2         // places: A, B, or OF_THREAD + thread

typedef word { byte tag, depth, top }
word stacks[2];
byte next[NODES + 1];
byte place[NODES + 1];

#define SAME(s) (stacks[s].tag == before.tag && stacks[s].top == before.top && stacks[s].depth == before.depth)

inline load(s) { d_step { before.tag = stacks[s].tag; before.depth = stacks[s].depth; before.top = stacks[s].top } }

inline store(s, new_depth, new_top) {
#ifndef MUTATE_1
    stacks[s].tag = before.tag + 1;
#endif
    stacks[s].depth = new_depth; stacks[s].top = new_top
}

// The chain is as long as there are elements in the stack, all of them in it.
inline check(s) {
    i = stacks[s].top; n = 0;
    do
    :: i != 0 && n <= NODES -> assert(place[i] == s); n++; i = next[i]
    :: else -> break
    od;
    assert(n == (place[1] == s) + (place[2] == s) + (place[3] == s));
    assert(s == B || (n == stacks[A].depth && n <= BOUND));
    i = 0; n = 0
}

// done: false when the bound forbids it.
inline push(s, node) {
    load(s);
    done = !(s == A && before.depth + 1 > BOUND);
#ifdef MUTATE_2
    next[node] = before.top;
#endif
    do
    ::
#ifndef MUTATE_5
        done = !(s == A && before.depth + 1 > BOUND);
#endif
        if
        :: !done -> break
        :: else
        fi;
#ifndef MUTATE_2
        next[node] = before.top;
#endif
        atomic {
            if
            :: SAME(s) ->
                store(s, before.depth + (s == A), node);
                assert(place[node] == OF_THREAD + me); place[node] = s;
                check(s); break
            :: load(s)
            fi
        }
    od
}

// got: the element, or 0.
inline pop(s) {
    got = 0;
#ifdef MUTATE_3
    below = next[stacks[s].top];
#endif
    load(s);
    do
    :: before.top == 0 -> break
    :: else ->
#ifndef MUTATE_3
        below = next[before.top];
#endif
        atomic {
            if
            :: SAME(s) ->
                got = before.top;
                store(s, before.depth - (s == A), below);
                assert(place[got] == s); place[got] = OF_THREAD + me;
                check(s); break
            :: load(s)
            fi
        }
    od;
    below = 0
}

inline detach() {
    load(B);
    do
    :: atomic {
#ifndef MUTATE_4
            if
            :: !SAME(B) -> load(B)
            :: else ->
#endif
                got = before.top; store(B, 0, 0);
                for (i in place) {
                    if
                    :: i > 0 && place[i] == B -> place[i] = OF_THREAD + me
                    :: else
                    fi
                }
                i = 0; break
#ifndef MUTATE_4
            fi
#endif
        }
    od
}

proctype thread(byte me, rounds) {
    byte got, below, i, n, round, link;
    bool done, chain;
    word before;
    for (round : 1 .. rounds) {
        if
        :: pop(A)
        :: pop(B)
        :: detach(); chain = true
        fi;
        do
        :: got == 0 -> break
        :: else ->
            link = (chain -> next[got] : 0);
            done = false;
            if
            :: push(A, got)
            :: true
            fi;
            if
            :: !done -> push(B, got)
            :: else
            fi;
            got = link
        od;
        assert(place[1] != OF_THREAD + me && place[2] != OF_THREAD + me && place[3] != OF_THREAD + me);
        d_step { chain = false; done = false; link = 0; before.tag = 0; before.depth = 0; before.top = 0 }
    }
}

init {
    atomic {
        stacks[A].top = 1; stacks[A].depth = 2; next[1] = 2; stacks[B].top = 3; place[3] = B;
        byte t;
        for (t : 0 .. THREADS - 1) { run thread(t, ROUNDS(t)) }
    }
}
