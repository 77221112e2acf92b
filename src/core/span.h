// SPDX-License-Identifier: MIT
// A span: a block of pages cut into equal slots of one size class, or one large allocation.
// span_take and what changes `mode` to or from HELD: the one holder. span_give: any thread that owns the
// slots.
#ifndef TARN_CORE_SPAN_H
#define TARN_CORE_SPAN_H

#include "buddy/page_heap.h"
#include "core/atomics.h"
#include "core/ids.h"
#include "core/size_class.h"
#include <stddef.h>

// The life of a span of small slots:
//
//      new ──> HELD ──release, some free──> LISTED (in one bucket of its central pool)
//               │ ▲                            │
//               │ └──────────hold──────────────┘
//               ├──release, none free──> FULL ──first give──> LISTED
//               └──release, all free───> back to the page heap
//
// Only the holder takes slots. A give sets the slots' bits first and counts them afterwards; so the count may
// lag behind the bits, but when it says that all slots are free, no give is under way: that is when the span
// may be retired.
enum span_mode { SPAN_HELD, SPAN_LISTED, SPAN_FULL };

// A span that is visited twice without having been taken from in between, nor given much to, rests: its free
// slots are not in demand, and memory wholly in them goes back to the kernel.
enum span_age { SPAN_IN_USE, SPAN_SEEN, SPAN_RESTING };

// The packed state:  mode << 32 | free + SPAN_FREE_BIAS.  A holder may take slots whose give has not been
// counted yet, so the count can be below zero for a moment; the bias keeps that from borrowing from the mode.
typedef struct {
    uint64_t word;
} span_state;

#define SPAN_FREE_BIAS (UINT64_C(1) << 16)

static inline enum span_mode span_state_mode(span_state s) { return (enum span_mode)(s.word >> 32); }
static inline int64_t span_state_free(span_state s)
{
    return (int64_t)(s.word & UINT32_MAX) - (int64_t)SPAN_FREE_BIAS;
}

static inline span_state span_state_make(enum span_mode mode, int64_t free)
{
    return (span_state){(uint64_t)mode << 32 | (uint64_t)(free + (int64_t)SPAN_FREE_BIAS)};
}

// Pure steps: the state after, and what whoever made the step has to do then.
enum span_duty {
    SPAN_NOTHING,
    SPAN_LIST,
    SPAN_LIST_EMPTY,
    SPAN_NOTE_EMPTY,
    SPAN_NOTE_NOT_EMPTY,
    SPAN_RETIRE
};

struct span_step {
    span_state after;
    enum span_duty duty;
};

static inline struct span_step span_step_give(span_state before, int64_t n, int64_t slots)
{
    int64_t free = span_state_free(before) + n;
    enum span_mode mode = span_state_mode(before);
    if (likely(mode != SPAN_FULL && free != slots)) // the count alone changes: the word's lower half
        return (struct span_step){{before.word + (uint64_t)n}, SPAN_NOTHING};
    if (mode == SPAN_FULL && free > 0)
        return (struct span_step){span_state_make(SPAN_LISTED, free),
                                  free == slots ? SPAN_LIST_EMPTY : SPAN_LIST};
    enum span_duty duty = mode == SPAN_LISTED && free == slots ? SPAN_NOTE_EMPTY : SPAN_NOTHING;
    return (struct span_step){span_state_make(mode, free), duty};
}

struct span_step span_step_take(span_state before, int64_t n);
struct span_step span_step_hold(span_state before, int64_t slots);
struct span_step span_step_release(span_state before, int64_t slots);

// The descriptor is the page heap's descriptor of the span's first page. It is type-stable: it can be read at
// any time, also when the pages have become something else; while they are free it may read as zeros. No
// class has more slots than its bitmap holds.
//   number of set bits == free slots (when no give or take is under way)
struct span {
    atomic_u64 state;
    atomic_u32 next;      // link to the span below it in its bucket (central.c)
    atomic_u32 next_word; // relaxed hint: where the holder found bits last
    page_id first;
    atomic_u32 pages; // relaxed; changes only in a large span; of a lone block from its page to the run's end
    uint32_t size;    // of a slot; 0 in a large span
    uint16_t slots;
    uint8_t cls;   // 0 in a large span
    uint8_t age;   // enum span_age; the holder's, as is seen_free
    uint16_t seen; // free slots at the last visit
    bool fresh;    // a large span whose memory held nothing when it was allocated; the owner's
    atomic_u8
        guarded;     // relaxed: guards stand before and behind a hardened large block, or behind a small span
    uint32_t rested; // bytes that went back to the kernel out of free slots, while none was taken; the
                     // holder's
    // Relaxed: of a lone block, its size and where on its page it begins (lone.h); of a hardened large one,
    // the pages that were asked for.
    atomic_u32 asked, offset;
    atomic_u32 sites; // relaxed: of a hardened large block or a lone one, allocated << 16 | freed (site.h)
    bool filled; // a large span that was resident as a whole when it was last filled with zeros; the owner's
    uint8_t unused[11];
    atomic_u64 bits[16]; // slot i is free <=> bit i % 64 of word i / 64 is set
};

// The span that a page of the heap belongs to; the caller knows that the page's map entry is a small span's.
static inline struct span *span_at(page_id first) { return page_descriptor(first); }
static inline page_id span_first_page(page_id page) { return (page_id){page.n - *page_head_distance(page)}; }
static inline struct span *span_of_page(page_id page) { return span_at(span_first_page(page)); }
// Turns a block of pages into a held span with all slots free.
struct span *span_make_small(page_id first, unsigned cls, uint32_t home);
// `fresh`: its memory held nothing before.
struct span *span_make_large(page_id first, size_t pages, bool fresh);
// Takes up to n slots, lowest address last in `out`, or in random order where the heap is hardened; returns
// how many. Holder only.
size_t span_take(struct span *self, void **out, size_t n);
// LISTED -> HELD. The caller has it off its bucket.
enum span_duty span_hold(struct span *self);
enum span_duty span_release(struct span *self);
// Notes the visit; true when the span is due to rest. Holder only, as is span_rest, which returns the bytes
// that went back to the kernel.
bool span_visit(struct span *self);
size_t span_rest(struct span *self);
// True while the slot is free in its span: neither the program's nor in a cache. Relaxed: for a slot's owner.
static inline bool span_slot_is_free(struct span *self, size_t slot)
{
    return (load_relaxed(&self->bits[slot / 64]) >> slot % 64 & 1) != 0;
}
// Gives the slots of one bitmap word back. Returns the old word: a bit of `mask` that is set there was free
// already.
static inline uint64_t span_give_bits(struct span *self, size_t word, uint64_t mask)
{
    return fetch_or_release(&self->bits[word],
                            mask); // pairs with take_word: the giver's writes to the slots come first
}

// Applies a pure step to the state; release so that bits set before are seen by whoever acquires the state.
#define SPAN_APPLY(self, step_of_before)                                                                     \
    span_state before = {load_relaxed(&(self)->state)};                                                      \
    struct span_step step;                                                                                   \
    do                                                                                                       \
        step = (step_of_before);                                                                             \
    while (!cas_weak_acq_rel(&(self)->state, &before.word, step.after.word));                                \
    return step.duty

// Counts slots whose bits were given.
static inline enum span_duty span_count_given(struct span *self, unsigned n)
{
    SPAN_APPLY(self, span_step_give(before, n, self->slots));
}

// Makes a cache the home of the span's slots, and returns the home before. Entries are hints: several may set
// one at once, and each finds on the first page what another left there.
uint32_t span_set_home(struct span *self, uint32_t home);

static inline int64_t span_free(struct span *self)
{
    return span_state_free(
        (span_state){load_acquire(&self->state)}); // pairs with span_count_given: its bits are there
}

// The slot of a span that starts at p, or SIZE_MAX if p lies inside a slot or past the last.
static inline size_t span_slot_of(unsigned cls, const void *p, uintptr_t start)
{
    const struct size_class_info *info = &size_class_table[cls];
    size_t offset = (uintptr_t)p - start;
    size_t slot = size_class_slot(cls, offset);
    return slot * info->size == offset && slot < info->slots ? slot : SIZE_MAX;
}

// Ends the process: p is no slot's start, but lies on a page of a span of the class. `call` is what it was
// passed to.
_Noreturn void span_reject(const char *call, const void *p, page_id page, unsigned cls);

static inline bool span_is_held(struct span *self)
{
    return span_state_mode((span_state){load_relaxed(&self->state)}) == SPAN_HELD;
}

static inline uintptr_t span_start(const struct span *self) { return (uintptr_t)page_address(self->first); }
// Checks the state against the bits; no other thread uses the span.
bool span_validate(struct span *self);

#endif
