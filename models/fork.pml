// SPDX-License-Identifier: MIT
// The child of fork: the other threads are cut off between any two of their writes, and the child makes the heap whole.
//
// Mirrors  src/buddy/page_heap.c: give_in_stripe, stripe_leave, stripe_take_locked, page_heap_after_fork, remake_stripe,
//          drain_after_fork;  src/buddy/zone.c: note_taken, zone_give, zone_repair;
//          src/core/intake.c: intake_push, intake_drain, intake_drain_after_fork;  src/core/lock.c: lock_reset_after_fork;
//          src/tcache/tcache.h: bin_pop, bin_push;  src/tcache/tcache.c: enter, leave, fill_from_spans, unload, load,
//          flush_bin, adopt_orphans.
// Two threads take and give two blocks of two pages, whose bits lie in two words; a third has a cache with a bin of two
// objects.  The forking thread is in no call.  The cut threads' writes are there in order (architecture, section 6).
//
// Properties, in the child:  no lock stays with a vanished thread;  the free blocks are just the pages that are not
// used, and no such page is called clean;  what the program has is not free, and nothing is freed twice;  what neither
// the program has nor the heap was in a cut thread's registers, or in its cache while that thread was in a slow path.
//
// MUTATE_1: the lock of a vanished thread is not reset
// MUTATE_2: the stripe is not made anew
// MUTATE_3: a drain gives the block before it advances
// MUTATE_4: caches are flushed though their owner was in a slow path
// MUTATE_5: a push to a bin moves the top before it writes the object
// MUTATE_6: the intake of a vanished thread's stripe is not drained

#define VICTIMS 2
#define NONE 0              // also an unlinked node's link
#define END 255
#define P(block) (2 * (block) - 2)
#define IS_FREE(block) (buddy[P(block)] && buddy[P(block) + 1])

mtype = { PAGES, CACHE }
mtype part;                 // which threads run: the two parts share nothing
bool cut;
byte lock;
bool used[4], dirty[4], buddy[4] = true;
byte head = END, taken, next[3];
bool has[3];                // the program has the block
bool touched[3];            // it had it once
byte hand[VICTIMS];         // what is in a thread's registers: a block, one that it is about to return, and a chain of
byte result[VICTIMS];       // the intake
byte chain[VICTIMS];

// --- The cache: objects 1 and 2, of one span.
byte bits = 6;              // bit o: object o is free in the span
byte bin[4];                // its batch is at 1: bin[2 .. top] are free objects
byte top, bottom;            // 0: NULL
bool in_slow_path;
byte program;               // bit o: the program has it
byte in_register;           // bit o

#define SET_BOTH(bits, block, value) bits[P(block)] = value; bits[P(block) + 1] = value

inline zone_give(block) { SET_BOTH(used, block, false); SET_BOTH(dirty, block, true); SET_BOTH(buddy, block, true) }

inline drain() {
    do
    ::
        if
        :: taken == NONE && head != END ->
            atomic { chain[me] = head; head = END }
            atomic { taken = chain[me]; chain[me] = NONE }
        :: else
        fi;
        if
        :: taken == NONE || next[taken] == NONE -> break
        :: else ->
#ifdef MUTATE_3
            block = taken;
            zone_give(block);
            taken = (next[block] == END -> NONE : next[block])
#else
            atomic { block = taken; hand[me] = block; taken = (next[block] == END -> NONE : next[block]) }
            zone_give(block);
            hand[me] = NONE
#endif
        fi
    od;
    block = NONE
}

inline try(got) { atomic { got = (lock == 0); lock = (lock == 0 -> me + 1 : lock) } }

inline leave() {
    do
    :: drain();
        lock = 0;
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
    atomic {
        if
        :: has[1] -> block = 1
        :: has[2] -> block = 2
        fi;
        has[block] = false; hand[me] = block
    }
    try(mine);
    if
    :: mine -> zone_give(block); atomic { hand[me] = NONE; block = NONE }
    :: else ->
        next[block] = NONE;
        atomic { chain[me] = head; head = block; hand[me] = NONE }
        atomic { next[block] = chain[me]; chain[me] = NONE; block = NONE }
        try(mine)
    fi;
    if
    :: mine -> leave()
    :: else
    fi
}

inline take() {
    try(mine);
    if
    :: mine ->
        atomic {
            if
            :: IS_FREE(1) -> block = 1
            :: !IS_FREE(1) && IS_FREE(2) -> block = 2
            :: else
            fi;
            result[me] = block
        }
        if
        :: block != NONE ->
            SET_BOTH(buddy, block, false); SET_BOTH(dirty, block, false); SET_BOTH(used, block, true)
        :: else
        fi;
        block = NONE;
        leave();
        atomic {
            if :: result[me] != NONE -> has[result[me]] = true; touched[result[me]] = true :: else fi;
            result[me] = NONE
        }
    :: else
    fi
}

active [VICTIMS] proctype victim() provided (part == PAGES && !cut) {
    byte me = _pid, block;
    bool mine;
    do
    :: take()
    :: has[1] || has[2] -> give()
    od
}

inline bin_push() {
    atomic {
        if
        :: program & 2 -> object = 1
        :: program & 4 -> object = 2
        fi;
        program = program & ~(1 << object); in_register = 1 << object
    }
#ifdef MUTATE_5
    top = top + 1;
    bin[top] = object;
    in_register = 0;
#else
    bin[top + 1] = object;
    atomic { top = top + 1; in_register = 0 }
#endif
    object = 0
}

inline bin_pop() {
    atomic { object = bin[top]; top = top - 1; in_register = 1 << object }
    atomic { program = program | (1 << object); in_register = 0; object = 0 }
}

inline unload() { count = top - bottom; bottom = 0; top = 0 }
inline load() { bottom = 1; top = 1 + count }

inline fill_from_spans() {
    in_slow_path = true;
    unload();
    atomic { mask = bits; bits = 0 }
    if :: mask & 2 -> count++; bin[1 + count] = 1 :: else fi;
    if :: mask & 4 -> count++; bin[1 + count] = 2 :: else fi;
    load();
    atomic { in_slow_path = false; mask = 0; count = 0 }
}

inline flush() {
    in_slow_path = true;
    unload();
    do
    :: count == 0 -> break
    :: else -> bits = bits | (1 << bin[1 + count]); count--
    od;
    in_slow_path = false
}

active proctype cache() provided (part == CACHE && !cut) {
    byte object, mask, count;
    do
    :: bottom != 0 && program != 0 -> bin_push()
    :: bottom != 0 && top > bottom -> bin_pop()
    :: top == bottom && bits != 0 -> fill_from_spans()
    :: bottom != 0 -> flush()
    od
}

// --- The child.

inline remake_stripe() {
    for (i : 0 .. 3) { dirty[i] = !used[i]; buddy[i] = !used[i] }
}

inline drain_after_fork() {
    do
    :: taken == NONE && head == END -> break
    :: else ->
        if :: taken == NONE -> taken = head; head = END :: else fi;
        i = taken; taken = (next[i] == END -> NONE : next[i]);
        assert(used[P(i)] && used[P(i) + 1] && !has[i]);
        zone_give(i)
    od
}

inline adopt() {
    do
    :: top > bottom ->
        i = bin[top]; top--;
        assert(i != 0 && ((bits | program) >> i & 1) == 0);
        bits = bits | (1 << i)
    :: else -> break
    od
}

#define IN_CHAIN(v, b) (chain[v] == b || (chain[v] != NONE && chain[v] != END && next[chain[v]] == b))
#define IN_REGISTERS(v, b) (hand[v] == b || result[v] == b || IN_CHAIN(v, b))

inline check_page(p, b) {
    assert(buddy[p] != used[p] && !(used[p] && dirty[p]) && (!has[b] || used[p]));
    assert(used[p] || dirty[p] || !touched[b]);
    assert(!used[p] || has[b] || IN_REGISTERS(0, b) || IN_REGISTERS(1, b))
}

inline check_object(o) {
    assert(!(bits >> o & 1) || !(program >> o & 1));
    assert(((bits | program | in_register) >> o & 1) || in_slow_path)
}

active proctype child() {
    byte i;
    if
    :: part = PAGES
    :: part = CACHE
    fi;
    cut = true;
    d_step {
        if
        :: lock != 0 ->
#ifndef MUTATE_1
            lock = 0;
#endif
#ifndef MUTATE_2
            remake_stripe()
#endif
        :: else
        fi
    }
#ifndef MUTATE_6
    d_step { drain_after_fork() }
#endif
#ifdef MUTATE_4
    d_step { adopt() }
#else
    d_step { if :: !in_slow_path -> adopt() :: else fi }
#endif
    lock == 0;
    d_step {
        check_page(0, 1); check_page(1, 1); check_page(2, 2); check_page(3, 2);
        check_object(1); check_object(2)
    }
    do // the vanished threads stay where they are, which is no deadlock
    :: i = 1
    :: i = 0
    od
}
