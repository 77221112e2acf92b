// SPDX-License-Identifier: MIT
// The memory limits: what is charged against them, and who is told when one is crossed.
// Any thread; lock-free except for telling. Nothing here gives memory back: that is the layers' work.
#ifndef TARN_CORE_LIMIT_H
#define TARN_CORE_LIMIT_H

#include "core/atomics.h"
#include "core/bits.h"
#include <stddef.h>
#include <tarn/tarn.h>

enum limit_kind { LIMIT_SOFT = TARN_LIMIT_SOFT, LIMIT_HARD = TARN_LIMIT_HARD, LIMIT_KINDS };

#define LIMIT_NONE UINT64_MAX
// Bit k of `pending` and `above` is about kind k.
#define LIMIT_CROSSED ((1u << LIMIT_KINDS) - 1)
#define LIMIT_RELEASE (1u << LIMIT_KINDS)
#define LIMIT_GROWN (1u << (LIMIT_KINDS + 1))

// Bytes that may be resident, once all threads rest:
//   charged == PAGE_SIZE * (used pages + dirty pages) + metadata - rested
// and while a limit is set never more than the hard one: a request adds its pages first, in one step with the
// comparison, and takes them afterwards. All words are relaxed: each is a value of its own.
struct limits {
    _Alignas(CACHE_LINE) atomic_u64 charged;
    _Alignas(CACHE_LINE) atomic_u32 set; // 1 when one of the bounds is
    atomic_u32 pending;                  // to be done at the end of a slow path
    atomic_u32 above;                    // crossed, and not gone far enough below since
    atomic_u64 bounds[LIMIT_KINDS];      // LIMIT_NONE when not set
    atomic_u64 rested;                   // bytes inside spans whose memory went back
    atomic_u64 release_at;               // above the soft bound: what is charged when to release next
    // What may be charged before the heap is to be searched for what nobody uses; LIMIT_NONE while that is
    // done.
    atomic_u64 mark;
};

extern struct limits limits __attribute__((visibility("hidden")));

// Takes the bounds from the options, at the start and after they have changed.
void limit_refresh(void);

static inline bool limit_is_set(void) { return load_relaxed(&limits.set) != 0; }
static inline uint64_t limit_bound(enum limit_kind kind) { return load_relaxed(&limits.bounds[kind]); }
static inline uint64_t limit_charged(void) { return load_relaxed(&limits.charged); }

// Crossed once, a bound counts as crossed until no more than this is charged.
uint64_t limit_release_to(enum limit_kind kind);

// What is free is to go back at once.
static inline bool limit_is_above_soft(void)
{
    return unlikely((load_relaxed(&limits.above) >> LIMIT_SOFT & 1) != 0);
}

bool limit_reserve_slow(uint64_t bytes);
void limit_note_fall(void);
// Charges the bytes, unless that would exceed the hard limit.
static inline bool limit_reserve(uint64_t bytes)
{
    if (unlikely(limit_is_set()))
        return limit_reserve_slow(bytes);
    fetch_add_relaxed(&limits.charged, bytes);
    return true;
}
// For what is there already.
static inline void limit_charge(uint64_t bytes) { fetch_add_relaxed(&limits.charged, bytes); }
static inline void limit_discharge(uint64_t bytes)
{
    fetch_sub_relaxed(&limits.charged, bytes);
    if (unlikely(load_relaxed(&limits.above) != 0))
        limit_note_fall();
}
// Memory inside a span went back, or may come again, for which the caller has charged.
static inline void limit_rest(uint64_t bytes)
{
    fetch_add_relaxed(&limits.rested, bytes);
    limit_discharge(bytes);
}
static inline void limit_wake(uint64_t bytes) { fetch_sub_relaxed(&limits.rested, bytes); }
// Everything was released that the caller could, and still the hard limit stands in the way.
void limit_note_refusal(void);

// The caller has charged memory that was not resident before.
static inline void limit_note_growth(void)
{
    if (unlikely(limit_charged() > load_relaxed(&limits.mark)))
        fetch_or_relaxed(&limits.pending, LIMIT_GROWN);
}
// True for the one caller who is to search the heap, and then to call limit_end_growth.
bool limit_take_growth(void);
// How far the heap has to grow until the next search.
uint64_t limit_growth_step(uint64_t charged);
// `before`: what was charged when the search began. Where it found as much as a step, the heap may grow up to
// there again and no further.
void limit_end_growth(uint64_t before);
// A period is over: the heap's size now, not its largest ever, is what it grows from.
void limit_end_period(void);

// True once after each step above the soft limit: the caller is to release what it can.
bool limit_take_release(void);
// Calls back and signals what was crossed. The caller holds nothing, and its cache is whole.
void limit_tell(void);
void limit_set_callback(tarn_limit_callback *callback, void *arg);
// A descriptor that becomes readable at a crossing; below 0 an error number. One for each kind, made once.
int limit_event_fd(enum limit_kind kind);

// In a child of fork: what is charged was counted anew.
void limit_after_fork(uint64_t charged);

#endif
