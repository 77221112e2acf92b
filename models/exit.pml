// SPDX-License-Identifier: MIT
// Caches and the end of threads: objects travel between threads of different homes while threads end and others take
// their caches and home numbers over.
//
// Mirrors  src/tcache/tcache.c: tcache_refill, load_away, load_parked, fill_from_spans, tcache_overflow, push,
//          make_room_away, park_or_give, give_batch, flush_class, flush_batch, unload, retire, direct_take;
//          src/tcache/registry.c: registry_take, registry_give;
//          src/core/central.c: central_pop_batch, central_push_batch, central_take, central_release, central_give,
//          central_trim.
// One class with two objects in one span; a bin and an away bin of one batch with one object each, no spare; few batches,
// and growth and parking may be refused at any time.  Stacks and spans change in whole steps (stacks.pml, span.pml), and
// so does what one thread alone has to do with.
//
// Properties:  an object is in one place;  a cache and a span have one holder at a time;  a batch too is in one place;
// when all threads have ended and the pool is trimmed, every object is in its span, the caches are empty and unused, and
// nothing of the common bound is charged.
//
// MUTATE_1: a cache is given up before it is flushed
// MUTATE_2: the end of a thread forgets the away bin
// MUTATE_3: a batch that the pool took goes to the spans too
// MUTATE_4: a held span is not released at the end
// MUTATE_5: a bin keeps its batch when the batch goes to the pool

#define THREADS 3           // each starts, makes up to CALLS calls, and ends
#define CALLS 2
#define CACHES 2
#define BATCHES 3           // 1 .. 3; 0 is none
#define OBJECTS 3           // a mask of two
#define ME (_pid + 1)
#define ANYWHERE (bits | program | content[1] | content[2] | content[3])

byte bits = OBJECTS;        // free in the span
byte holder;                // of the span: a thread's number, or 0
byte home;                  // in the page map: a cache's number, or 0
byte program;               // objects that the program has
byte content[BATCHES + 1];
byte blank = 14, pool;      // bit b: batch b is in the stack of empty ones, in the central stack
byte unused = 6;            // bit c: cache c is in the registry's list
byte user[CACHES + 1];      // whose the cache is
byte bin[2 * CACHES + 1];   // the batch in each cache's bin, and behind those the away bins'
bool held[CACHES + 1], grown[CACHES + 1];
byte charged, ended;

#define PICK(mask, one) one = ((mask) & 2 -> 1 : ((mask) & 4 -> 2 : 3))
#define AWAY(c) (CACHES + (c))
#define OWN_CACHE assert(user[c] == ME)

inline central_give(objects) {
    atomic { assert((ANYWHERE & (objects)) == 0); bits = bits | (objects); objects = 0 }
}

inline batch_recycle(b) {
    atomic { assert(!((blank | pool) >> b & 1) && content[b] == 0); blank = blank | (1 << b); b = 0 }
}

inline give_batch(b) {
    atomic { hand = content[b]; content[b] = 0 }
    if :: hand != 0 -> central_give(hand) :: else fi;
    batch_recycle(b)
}

// The stack of batches may have room or not.
inline park_or_give(b) {
    if
    :: content[b] != 0 ->
        atomic { assert(!((blank | pool) >> b & 1)); pool = pool | (1 << b) }
#ifdef MUTATE_3
        give_batch(b)
#else
        b = 0
#endif
    :: give_batch(b)
    fi
}

inline unload(place) {
    atomic { OWN_CACHE; batch = bin[place]; bin[place] = 0 }
}

inline ensure_loaded(place) {
    atomic {
        OWN_CACHE;
        if :: !grown[c] -> grown[c] = true; charged++ :: true fi;
        if
        :: bin[place] == 0 && grown[c] && blank != 0 -> PICK(blank, bin[place]); blank = blank & ~(1 << bin[place])
        :: else
        fi
    }
}

// objects: what was taken;  may_hold: the span may stay with the cache, whose it becomes.
inline central_take(objects, may_hold) {
    atomic {
        if
        :: may_hold && held[c] -> held[c] = false; assert(holder == ME); taking = true
        :: !(may_hold && held[c]) && holder == 0 && bits != 0 ->
            holder = ME; taking = true;
            if :: may_hold -> home = c :: else fi
        :: else
        fi
    }
    if
    :: taking ->
        atomic { objects = (bits & 1 -> 1 : 2); assert(bits & objects); bits = bits & ~objects }
        if
        :: atomic { may_hold && bits != 0 -> held[c] = true }
        :: holder = 0
        fi;
        taking = false
    :: else
    fi
}

inline to_program(objects) {
    atomic { assert((ANYWHERE & objects) == 0); program = program | objects; objects = 0 }
}

inline pop_parked() {
    atomic { if :: pool != 0 -> PICK(pool, batch); pool = pool & ~(1 << batch) :: else fi }
}

inline load_parked() {
    pop_parked();
    if
    :: batch != 0 && !grown[c] -> give_batch(batch)
    :: batch != 0 && grown[c] -> atomic { spare = bin[c]; bin[c] = batch; batch = 0 } // the empty one's place
        if :: spare != 0 -> batch_recycle(spare) :: else fi
    :: else
    fi
}

// The bin and the away bin change places.
inline load_away() {
    atomic {
        OWN_CACHE;
        if
        :: bin[AWAY(c)] != 0 && content[bin[AWAY(c)]] != 0 ->
            spare = bin[c]; bin[c] = bin[AWAY(c)]; bin[AWAY(c)] = spare; spare = 0
        :: else
        fi
    }
}

inline fill_from_spans() {
    ensure_loaded(c);
    if
    :: bin[c] != 0 ->
        unload(c);
        central_take(hand, true);
        atomic {
            assert((ANYWHERE & hand) == 0);
            content[batch] = hand; hand = 0; bin[c] = batch; batch = 0
        }
    :: else -> central_take(hand, false)
    fi;
    if :: hand != 0 -> to_program(hand) :: else fi
}

inline refill() {
    if :: bin[c] == 0 || content[bin[c]] == 0 -> load_away() :: else fi;
    if :: bin[c] == 0 || content[bin[c]] == 0 -> load_parked() :: else fi;
    if :: bin[c] == 0 || content[bin[c]] == 0 -> fill_from_spans() :: else fi;
    atomic {
        OWN_CACHE;
        if
        :: bin[c] != 0 && content[bin[c]] != 0 -> hand = content[bin[c]]; content[bin[c]] = 0; to_program(hand)
        :: else
        fi
    }
}

// What the program frees, and the home that the page map shows then.
inline leave_program() {
    atomic {
        if :: program & 1 -> hand = 1 :: program & 2 -> hand = 2 fi;
        program = program & ~hand; entry = home
    }
}

inline push(place) {
    if
    :: bin[place] != 0 && content[bin[place]] != 0 ->
        unload(place);
#ifdef MUTATE_5
        bin[place] = batch;
#endif
        atomic { object = hand; hand = 0 }
        park_or_give(batch);
        atomic { hand = object; object = 0 }
    :: else
    fi;
    if :: bin[place] == 0 -> ensure_loaded(place) :: else fi;
    if
    :: bin[place] != 0 -> atomic { assert((ANYWHERE & hand) == 0); content[bin[place]] = hand; hand = 0 }
    :: else -> central_give(hand)
    fi
}

inline give() {
    leave_program();
    if
    :: entry == c -> push(c)
    :: else -> push(AWAY(c))
    fi;
    entry = 0
}

inline flush_bin(place) {
    unload(place);
    if :: batch != 0 -> park_or_give(batch) :: else fi
}

inline flush_class() {
    flush_bin(c);
#ifndef MUTATE_2
    flush_bin(AWAY(c));
#endif
#ifndef MUTATE_4
    atomic {
        OWN_CACHE;
        if :: held[c] -> held[c] = false; assert(holder == ME); holder = 0 :: else fi
    }
#endif
    atomic { if :: grown[c] -> grown[c] = false; charged-- :: else fi }
}

inline registry_give() { atomic { OWN_CACHE; user[c] = 0; unused = unused | (1 << c) } }

inline retire() {
#ifdef MUTATE_1
    registry_give(); flush_class();
#else
    flush_class(); registry_give();
#endif
    c = 0
}

// All threads have ended: the program frees the rest past caches, the pool is trimmed.
inline check() {
    do
    :: leave_program(); central_give(hand)
    :: program == 0 && pool != 0 -> pop_parked(); give_batch(batch)
    :: else -> break
    od;
    assert(bits == OBJECTS && holder == 0 && blank == 14 && unused == 6 && charged == 0)
}

active [THREADS] proctype thread() {
    byte c, batch, spare, hand, object, entry, calls;
    bool taking, last;
    atomic { unused != 0 -> PICK(unused, c); unused = unused & ~(1 << c); assert(user[c] == 0); user[c] = ME }
    do
    :: atomic { calls < CALLS -> calls++ }
        if
        :: refill()
        :: give()
        fi
    :: atomic { calls = 0; break }
    od;
    retire();
    if // a later destructor, past caches
    :: central_take(hand, false); if :: hand != 0 -> to_program(hand) :: else fi
    :: leave_program(); central_give(hand)
    :: true
    fi;
    atomic { entry = 0; ended++; last = (ended == THREADS) }
    if :: last -> check() :: else fi
}
