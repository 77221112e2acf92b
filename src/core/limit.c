// SPDX-License-Identifier: MIT
#include "core/limit.h"

#include "core/cgroup.h"
#include "core/lock.h"
#include "core/options.h"
#include "core/os.h"
#include <errno.h>

// With `auto`, in hundredths of what the control group may have: the rest is for what is not the heap's.
#define AUTO_SOFT 80
#define AUTO_HARD 95
// A crossing counts as over when a 16th of the limit is free again.
#define HYSTERESIS 16
// Above the soft limit memory is released again after each further 64th of it, a MiB at least.
#define STEP_SHARE 64
#define STEP_LEAST ((uint64_t)1 << 20)
// A heap of less than GROWN_LEAST bytes is not searched, and a larger one when it has grown by a 32nd.
#define GROWN_LEAST ((uint64_t)32 << 20)
#define GROWN_SHARE 32
#define GROWN_STEP_LEAST ((uint64_t)4 << 20)

struct limits limits = {.bounds = {LIMIT_NONE, LIMIT_NONE}, .mark = GROWN_LEAST};

static struct {
    struct lock lock;               // held while somebody is told
    tarn_limit_callback *callback;  // guarded by lock
    void *arg;                      // guarded by lock
    atomic_u32 events[LIMIT_KINDS]; // relaxed; descriptor + 1, 0 when nobody asked for it
} told = {.lock = {.rank = LOCK_LIMIT}};

static uint64_t resolve(int64_t setting, unsigned automatic)
{
    if (setting >= 0)
        return setting == 0 ? LIMIT_NONE : (uint64_t)setting;
    uint64_t machine = os_physical_bytes(), group = cgroup_memory_limit();
    if (setting == LIMIT_AUTO)
        return group < machine ? group / 100 * automatic : LIMIT_NONE;
    return min_size(machine, group) / 100 * (uint64_t)-setting;
}

void limit_refresh(void)
{
    uint64_t soft = resolve(load_relaxed(&options.limit_soft), AUTO_SOFT);
    uint64_t hard = resolve(load_relaxed(&options.limit_hard), AUTO_HARD);
    store_relaxed(&limits.bounds[LIMIT_SOFT], soft);
    store_relaxed(&limits.bounds[LIMIT_HARD], hard);
    store_relaxed(&limits.release_at, soft);
    store_relaxed(&limits.above, 0);
    store_relaxed(&limits.set, soft != LIMIT_NONE || hard != LIMIT_NONE);
}

static void cross(enum limit_kind kind)
{
    uint32_t bit = 1u << kind;
    if ((load_relaxed(&limits.above) & bit) == 0 && (fetch_or_relaxed(&limits.above, bit) & bit) == 0)
        fetch_or_relaxed(&limits.pending, bit);
}

static void note_rise(uint64_t charged)
{
    uint64_t soft = limit_bound(LIMIT_SOFT);
    if (likely(charged <= soft))
        return;
    cross(LIMIT_SOFT);
    if (charged <= load_relaxed(&limits.release_at))
        return;
    store_relaxed(&limits.release_at, charged + max_size(soft / STEP_SHARE, STEP_LEAST));
    fetch_or_relaxed(&limits.pending, LIMIT_RELEASE);
}

bool limit_reserve_slow(uint64_t bytes)
{
    uint64_t hard = limit_bound(LIMIT_HARD), charged = limit_charged();
    do {
        if (bytes > hard || charged > hard - bytes)
            return false;
    } while (!cas_weak_relaxed(&limits.charged, &charged, charged + bytes));
    note_rise(charged + bytes);
    return true;
}

uint64_t limit_release_to(enum limit_kind kind)
{
    uint64_t bound = limit_bound(kind);
    return bound - bound / HYSTERESIS;
}

void limit_note_fall(void)
{
    for (unsigned kind = 0; kind < LIMIT_KINDS; kind++) {
        if ((load_relaxed(&limits.above) >> kind & 1) == 0 || limit_charged() > limit_release_to(kind))
            continue;
        if (kind == LIMIT_SOFT)
            store_relaxed(&limits.release_at, limit_bound(LIMIT_SOFT));
        fetch_and_relaxed(&limits.above, ~(1u << kind));
    }
}

void limit_note_refusal(void) { cross(LIMIT_HARD); }

bool limit_take_release(void)
{
    return (load_relaxed(&limits.pending) & LIMIT_RELEASE) != 0 &&
           (fetch_and_relaxed(&limits.pending, ~LIMIT_RELEASE) & LIMIT_RELEASE) != 0;
}

uint64_t limit_growth_step(uint64_t charged) { return max_size(GROWN_STEP_LEAST, charged / GROWN_SHARE); }

bool limit_take_growth(void)
{
    return (load_relaxed(&limits.pending) & LIMIT_GROWN) != 0 &&
           (fetch_and_relaxed(&limits.pending, ~LIMIT_GROWN) & LIMIT_GROWN) != 0 &&
           exchange_relaxed(&limits.mark, LIMIT_NONE) != LIMIT_NONE;
}

static uint64_t next_mark(uint64_t charged)
{
    return max_size(GROWN_LEAST, charged + limit_growth_step(charged));
}

void limit_end_growth(uint64_t before)
{
    store_relaxed(&limits.mark, max_size(before, next_mark(limit_charged())));
}

void limit_end_period(void)
{
    uint64_t mark = load_relaxed(&limits.mark), next = next_mark(limit_charged());
    if (mark != LIMIT_NONE && next < mark)
        cas_relaxed(&limits.mark, &mark, next);
}

static void tell_locked(enum limit_kind kind)
{
    uint32_t event = load_relaxed(&told.events[kind]);
    if (event != 0)
        os_event_signal((int)event - 1);
    if (told.callback != NULL)
        told.callback((enum tarn_limit)kind, limit_charged(), told.arg);
}

// Who finds the lock held leaves the crossing to the holder, who looks again after it has let go.
void limit_tell(void)
{
    int saved = errno;
    while ((load_relaxed(&limits.pending) & LIMIT_CROSSED) != 0 && lock_try(&told.lock)) {
        uint32_t crossed = fetch_and_relaxed(&limits.pending, ~LIMIT_CROSSED);
        for (unsigned kind = 0; kind < LIMIT_KINDS; kind++)
            if ((crossed >> kind & 1) != 0)
                tell_locked(kind);
        lock_drop(&told.lock);
    }
    errno = saved;
}

// In its own call the callback may put another in its place.
void limit_set_callback(tarn_limit_callback *callback, void *arg)
{
    bool within = lock_is_mine(&told.lock);
    if (!within)
        lock_take(&told.lock);
    told.callback = callback;
    told.arg = arg;
    if (!within)
        lock_drop(&told.lock);
}

int limit_event_fd(enum limit_kind kind)
{
    uint32_t event = load_relaxed(&told.events[kind]);
    if (event != 0)
        return (int)event - 1;
    int fd = os_event_new();
    if (fd < 0 || cas_relaxed(&told.events[kind], &event, (uint32_t)fd + 1))
        return fd;
    os_close(fd); // another thread was first
    return (int)event - 1;
}

// The descriptors are the parent's too, who would be told what happens here.
void limit_after_fork(uint64_t charged)
{
    lock_reset_after_fork(&told.lock);
    for (unsigned kind = 0; kind < LIMIT_KINDS; kind++)
        if (load_relaxed(&told.events[kind]) != 0)
            store_relaxed(&told.events[kind], 0);
    if (limit_charged() != charged)
        store_relaxed(&limits.charged, charged);
    if (load_relaxed(&limits.mark) == LIMIT_NONE) // the thread that was searching is gone
        store_relaxed(&limits.mark, next_mark(charged));
}
