// SPDX-License-Identifier: MIT
// Thread caches: for each size class a small array of free objects that a thread takes from and gives to
// alone. The owner thread only, except where a name ends in _shared; counts may be read by anybody.
#ifndef TARN_TCACHE_TCACHE_H
#define TARN_TCACHE_TCACHE_H

#include "core/batch.h"
#include "core/bits.h"
#include "core/page_map.h"
#include "core/quarantine.h"
#include "core/size_class.h"
#include "core/span.h"
#include <ck_stack.h>

// A bin's loaded batch, seen as an array:
//
//     empty           top                  full
//       │ header │ o │ o │ o │ - │ - │ - │ - │        o: a free object, -: room for one
//
//   empty <= top <= full;  (empty, top] are objects;  empty is the loaded batch, or NULL (then all three are)
// The words are atomic because statistics read them from other threads; relaxed, since nothing is followed
// from them. `spare` is a second batch: it has objects to load when the loaded one runs out, or room when it
// overflows, so that a thread that hovers at the edge of a batch does not go to the central pool at each
// step.
typedef _Atomic(struct batch *) batch_place;

struct bin {
    _Atomic(void **) top, empty, full;
    batch_place spare;
};

_Static_assert(sizeof(struct bin) == 8 << PAGE_CLASS_SHIFT,
               "a page map entry's class field scaled by 8 is a bin's offset");

#define AWAY_FIELD                                                                                           \
    ((uint32_t)SIZE_CLASS_COUNT << PAGE_CLASS_SHIFT) // the first bin behind those of the classes
#define BLANKS 4

enum tcache_state { TCACHE_UNUSED, TCACHE_LIVE };

struct tcache {
    // What the fast paths read, first and together. `tag` is home << PAGE_HOME_SHIFT, so that `entry - tag`
    // is the class field of an entry whose home is this cache, and out of range for every other entry.
    uint32_t tag;
    atomic_u32 generation; // of the process (it rises at fork) in which the cache was taken up
    uintptr_t base;        // copies of page_map
    size_t pages;
    atomic_u32 *entries;
    size_t hardened_pages;                   // `pages` where the heap is hardened, else 0
    _Atomic(struct quarantine *) quarantine; // NULL, or where canaries are wanted the thread's; never changes
                                             // then
    uint8_t class_field[SIZE_CLASS_SMALL_MAX + 1]; // by size: class << PAGE_CLASS_SHIFT; 0 for sizes that are
                                                   // not cached, or may be lone
    // Of the slow paths; here because the alignment of what follows leaves room.
    uint32_t slow_steps; // periods are counted in them
    uint32_t shortages;  // times the common bound had no room
    uint32_t epoch;      // of the caches, at the last slow path
    _Alignas(CACHE_LINE) struct bin bins[SIZE_CLASS_COUNT];
    // Objects of other homes, on their way out; allocated only when the bin ran dry, and where no two objects
    // share a cache line. Bins without a spare.
    struct bin away[SIZE_CLASS_COUNT];
    struct batch *blanks[BLANKS]; // empty batches at hand, blank_count of them
    // Spans this cache fills from alone; only of classes that are in full use here.
    struct span *held[SIZE_CLASS_COUNT];
    uint8_t capacity[SIZE_CLASS_COUNT];    // objects the loaded batch may hold; grows by use
    uint8_t first_steps[SIZE_CLASS_COUNT]; // slow paths before the class was cached here
    int8_t apart[SIZE_CLASS_COUNT];        // overflows of the bin less full away batches, see APART
    uint16_t refused[SIZE_CLASS_COUNT]; // batches that its pool gave back beyond those it took, see REFUSALS
    atomic_u32 refills[SIZE_CLASS_COUNT]; // relaxed statistics, written by the owner
    uint64_t recent, recent_before;       // bit c: class c met a slow path in this period, in the one before
    uint64_t waves, waves_before;         // bit c: the same, for one that loaded the class's spare batch
    uint32_t blank_count;
    uint64_t sends;   // bit c: class c has room for an away batch
    uint64_t shed;    // bit c: this cache emptied class c's pool and has pushed nothing since
    uint64_t charged; // bytes of the common bound that this cache's capacities take
    atomic_u64 requested[SIZE_CLASS_COUNT]; // bytes asked for when the refills were counted
    atomic_u64 flushes;
    atomic_u32 in_slow_path;    // for the child of a fork: the cache may be half-changed
    atomic_u32 state;           // enum tcache_state
    struct tcache *next_unused; // guarded by the registry's lock
    ck_stack_entry_t link;      // in the registry, for ever
};

_Static_assert(offsetof(struct tcache, away) == offsetof(struct tcache, bins) + 8 * (size_t)AWAY_FIELD,
               "the away bins follow the others");

// The calling thread's cache, or one of the two below, whose bins are empty and full at once and whose tag
// fits no entry.
extern _Thread_local struct tcache *tcache_self __attribute__((visibility("hidden")));
extern struct tcache tcache_none __attribute__((visibility("hidden"))); // before a thread's first call
extern struct tcache tcache_gone __attribute__((visibility("hidden"))); // after its cache was flushed at exit
// The same, but where canaries are wanted `tcache_self` stays at tcache_none, so that the fast paths find no
// cache and each call comes to its slow half.
extern _Thread_local struct tcache *tcache_own __attribute__((visibility("hidden")));

static inline struct bin *bin_at(struct tcache *self, uint32_t class_field)
{
    return (struct bin *)((char *)self->bins + 8 * (size_t)class_field);
}

// NULL when the bin is empty.
static inline void *bin_pop(struct bin *bin)
{
    void **top = load_own(&bin->top);
    if (unlikely(top == load_own(&bin->empty)))
        return NULL;
    store_relaxed(&bin->top, top - 1);
    void *p = *top;
    if (p == NULL)
        __builtin_unreachable(); // so that the caller's test for NULL is the test above
    return p;
}

// The same for whoever reads the object: the next one is on its way into the processor's cache then.
static inline void *bin_pop_ahead(struct bin *bin, size_t size)
{
    void **top = load_own(&bin->top);
    void *p = bin_pop(bin);
    if (likely(p != NULL)) {
        uintptr_t next = (uintptr_t)top[-1]; // anything, where that was the last
        __builtin_prefetch((void *)next);
        __builtin_prefetch((void *)(next + size - 1));
    }
    return p;
}

// Where a free object of another home goes.
static inline struct bin *bin_away(struct tcache *self, uint32_t entry)
{
    return bin_at(self, (entry & PAGE_CLASS_MASK) + AWAY_FIELD);
}

// Where a free object goes that lies on a page with that entry.
static inline struct bin *bin_of(struct tcache *self, uint32_t entry)
{
    uint32_t field = entry - self->tag;
    return likely(field <= PAGE_CLASS_MASK) ? bin_at(self, field) : bin_away(self, entry);
}

static inline void bin_add(struct bin *bin, void **top, void *p)
{
    top[1] = p;
    store_release(&bin->top, top + 1); // in this order for the child of a fork, which may see it half-done
}

// False when the bin is full.
static inline bool bin_put(struct bin *bin, void *p)
{
    void **top = load_own(&bin->top);
    if (unlikely(top == load_own(&bin->full)))
        return false;
    bin_add(bin, top, p);
    return true;
}

// False also when p is what was pushed last: the slow path finds out.
static inline bool bin_push(struct bin *bin, void *p)
{
    void **top = load_own(&bin->top);
    if (unlikely(top == load_own(&bin->full)) || unlikely(*top == p))
        return false;
    bin_add(bin, top, p);
    return true;
}

void tcache_init(void);
// The slow halves of malloc and free of small objects. tcache_refill: an object of the class, NULL without
// memory. `size` is what was asked for, a sample of what is asked for in this class.
void *tcache_refill(unsigned cls, size_t size);
void tcache_overflow(void *p, uint32_t entry);
// Gives everything the calling thread's cache holds back; it goes on empty.
void tcache_flush(void);
// The thread ends: flushes, and gives the cache up. What the thread does later goes past caches.
void tcache_retire(void);
void tcache_after_fork(void);

// Any thread, about all caches. None is touched here: each thread hands over at its own next slow path.
//
// A period of TARN_DECAY_MS is over. Whose cache met no slow path in the whole of one hands over everything.
void tcache_end_period(void);
// Memory is short: every cache is handed over.
void tcache_press(void);

struct tcache_counts {
    uint64_t caches, live;
    uint64_t flushes;
    uint64_t room; // bytes of the common bound that all caches take, never more than TARN_TCACHE_TOTAL
    uint64_t objects[SIZE_CLASS_COUNT], refills[SIZE_CLASS_COUNT], requested[SIZE_CLASS_COUNT];
};

void tcache_counts_shared(struct tcache_counts *counts);
// Checks the calling thread's cache.
bool tcache_validate(void);

#endif
