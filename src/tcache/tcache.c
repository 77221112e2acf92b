// SPDX-License-Identifier: MIT
#include "tcache/tcache.h"

#include "buddy/page_heap.h"
#include "core/central.h"
#include "core/decay.h"
#include "core/harden.h"
#include "core/limit.h"
#include "core/meta.h"
#include "core/options.h"
#include "core/os.h"
#include "tcache/registry.h"
#include <pthread.h>
#include <string.h>

#define FIRST_CAPACITY 4
// The loaded batch and the spare one each hold up to `capacity` objects, as does the away batch of a class
// that has one.
#define BATCHES_PER_CLASS 2
// Spans up to this many pages may be held by one cache.
#define HELD_PAGES 4
#define SHORTAGES_PER_FLUSH 55 // twice as many, and a class out of use has given up what it held
#define PERIOD_STEPS 1024
// A thread that uses a class a few times, as many do at their start, keeps nothing of it: so many slow paths,
// or one for so many bytes of an object, since of a large one each that a thread keeps is many pages.
#define FIRST_STEPS 4
#define FIRST_STEP_BYTES 8192
// A pool that has no room gives half of its batches back and then has room for as many again. The balance of
// both rises by one each time, unless others take from the pool; at REFUSALS, without a malloc that found its
// bin empty, the class is being given up. From then on little is kept, since the thread may stop at any
// moment and would hold it.
#define REFUSALS 64
// An away bin of which much belongs to draining spans is a refusal, too, where the spans have many pages; so
// many come to REFUSALS.
#define DECLINES 16
#define DECLINING_PAGES ((256 << 10) >> PAGE_SHIFT)
#define GIVEN_ALONE 4096 // objects given back one by one: the class is used again, though not from here
// Of the common bound this part is kept for caches that take less than an equal share of it.
#define SHARED_PARTS 8
#define DECLINING_ROOM 16 // so many objects of draining spans wait in a bin
// Of a class that is being given up a bin keeps one in so many of the objects that are left for each thread,
// or nothing when that is less than FIRST_CAPACITY; at most its part of so many, which the classes that the
// thread uses share, but FIRST_CAPACITY in any case.
#define DECLINING_PART 64
#define DECLINING_TOTAL 128
#define AWAY_STEPS 16 // one slow path in so many does not take the away bin's objects
// A thread keeps apart from others in a class when its own bin has overflowed so many times more often than
// away batches filled up; as many the other way are counted. One that only allocates what others free does
// not.
#define APART 8
#define EPOCHS_IDLE 2   // a thread that is so many behind met no slow path in the whole of a period
#define WAVE_BATCHES 16 // a wave may make a batch grow to that many times TARN_TCACHE_BATCH

struct tcache tcache_none = {.tag = UINT32_MAX << PAGE_HOME_SHIFT};
struct tcache tcache_gone = {.tag = UINT32_MAX << PAGE_HOME_SHIFT};
_Thread_local struct tcache *tcache_self = &tcache_none;
_Thread_local struct tcache *tcache_own = &tcache_none;

static void become(struct tcache *cache)
{
    tcache_own = cache;
    if (harden_level() < HARDEN_CANARIES)
        tcache_self = cache;
}

// Written by tcache_init, read-only afterwards.
static pthread_key_t exit_key;
static bool exit_key_works;

static atomic_u64 charged_total; // relaxed: a bound, not a hand-over
static atomic_u32 epoch;         // relaxed: a thread that sees it late hands over late
static atomic_u32 orphans; // relaxed: 1 in a child of fork until the caches of vanished threads were emptied

static void thread_exits(void *cache);

static uint8_t limit_of(unsigned cls, size_t batch_bytes)
{
    size_t size = size_class_size(cls);
    if (load_relaxed(&options.tcache_off) || size > load_relaxed(&options.tcache_max_size))
        return 0;
    return (uint8_t)min_size(BATCH_SLOTS, max_size(2, batch_bytes / size));
}

void tcache_init(void)
{
    registry_init();
    exit_key_works = pthread_key_create(&exit_key, thread_exits) == 0;
    size_t bytes = load_relaxed(&options.tcache_batch);
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++) {
        sealed.capacity_limit[cls] = limit_of(cls, bytes);
        sealed.wave_limit[cls] = limit_of(cls, WAVE_BATCHES * bytes);
    }
}

static uint32_t home_of(const struct tcache *self) { return self->tag >> PAGE_HOME_SHIFT; }

// --- The common bound.
//
//   charged_total == the sum of all caches' `charged` <= TARN_TCACHE_TOTAL, unless that was lowered
//
// What a cache was granted stays with it until its thread's next slow path, whatever the thread does
// meanwhile. So that threads which sleep cannot starve others, a cache beyond its equal share of the last
// part may take only from the rest:
//   total <= rest when such a cache grows;  the others never take more than threads * share == the last part;
//   so a cache within its share finds room.

static bool may_hold(unsigned cls, size_t capacity)
{
    return capacity >= sealed.capacity_limit[cls] && size_class_table[cls].pages <= HELD_PAGES;
}

// The most that a class can keep from others: its batches, and the free slots of the span it holds.
static uint64_t room_for(const struct tcache *self, unsigned cls, size_t capacity)
{
    return (BATCHES_PER_CLASS + (self->sends >> cls & 1)) * capacity * size_class_size(cls) +
           (may_hold(cls, capacity) ? size_class_table[cls].pages * PAGE_SIZE : 0);
}

static uint64_t shared_part(void) { return load_relaxed(&options.tcache_total) / SHARED_PARTS; }

static bool is_beyond_share(uint64_t bytes) { return bytes > shared_part() / max_size(1, registry_live()); }

static bool is_short(void)
{
    return load_relaxed(&charged_total) + 2 * shared_part() > load_relaxed(&options.tcache_total);
}

// May a cache that then has `mine` bytes take the last `bytes` of them, when all have `total` before?
static bool has_room(uint64_t total, uint64_t mine, uint64_t bytes)
{
    uint64_t bound = load_relaxed(&options.tcache_total) - (is_beyond_share(mine) ? shared_part() : 0);
    return bytes <= bound && total <= bound - bytes;
}

static bool charge(struct tcache *self, uint64_t bytes)
{
    uint64_t total = load_relaxed(&charged_total);
    do {
        if (!has_room(total, self->charged + bytes, bytes))
            return false;
    } while (!cas_weak_relaxed(&charged_total, &total, total + bytes));
    self->charged += bytes;
    return true;
}

static bool is_draining(const struct tcache *self, unsigned cls) { return self->refused[cls] >= REFUSALS; }

// How much a bin keeps of a class that its thread is giving up: each object would hold a page if the thread
// stopped.
static size_t declining_room(const struct tcache *self, unsigned cls)
{
    size_t part = central_out(cls) / (DECLINING_PART * max_size(1, registry_live()));
    size_t share = DECLINING_TOTAL / max_size(1, bits_count(self->recent | self->recent_before));
    return part < FIRST_CAPACITY ? 0 : min_size(part, max_size(FIRST_CAPACITY, share));
}

static void refund(struct tcache *self, unsigned cls)
{
    uint64_t bytes = room_for(self, cls, self->capacity[cls]);
    fetch_sub_relaxed(&charged_total, bytes);
    self->charged -= bytes;
    self->capacity[cls] = 0;
    self->sends &= ~(UINT64_C(1) << cls);
}

// --- Emptying.

static void give_batch(unsigned cls, struct batch *batch)
{
    if (batch_count(batch) != 0)
        central_give(cls, batch->objects, batch_count(batch));
    batch_recycle(batch);
}

// Empty batches stay at hand, so that one exchange with a central pool is one exchange of a word.
static struct batch *take_blank(struct tcache *self)
{
    if (self->blank_count == 0)
        return batch_new();
    return self->blanks[--self->blank_count];
}

static void keep_blank(struct tcache *self, struct batch *batch)
{
    batch_set_count(batch, 0);
    if (self->blank_count < BLANKS)
        self->blanks[self->blank_count++] = batch;
    else
        batch_recycle(batch);
}

static unsigned loaded_count(struct bin *bin)
{
    return (unsigned)(load_relaxed(&bin->top) - load_relaxed(&bin->empty));
}

// The loaded batch is unloaded with its count; the bin is left without one.
static struct batch *unload(struct bin *bin)
{
    struct batch *batch = (struct batch *)(void *)load_relaxed(&bin->empty);
    if (batch != NULL)
        batch_set_count(batch, loaded_count(bin));
    store_relaxed(&bin->full, NULL);
    store_relaxed(&bin->empty, NULL);
    store_relaxed(&bin->top, NULL);
    return batch;
}

static void load(struct bin *bin, struct batch *batch, unsigned capacity)
{
    void **empty = (void **)(void *)batch;
    store_relaxed(&bin->empty, empty);
    store_relaxed(&bin->full, empty + capacity);
    store_relaxed(&bin->top, empty + batch_count(batch));
}

// Where what a cache gives up goes: to the spans, which finds what was freed twice, or in batches to the
// pool, for the next thread.
enum flush_to { FLUSH_TO_SPANS, FLUSH_TO_POOL };

static void flush_batch(struct batch *batch, unsigned cls, unsigned capacity, enum flush_to to)
{
    bool worth_parking = batch != NULL && batch_count(batch) != 0 && 2 * batch_count(batch) >= capacity;
    if (batch != NULL && !(to == FLUSH_TO_POOL && worth_parking && central_push_batch(cls, batch)))
        give_batch(cls, batch);
}

static void flush_bin(struct bin *bin, unsigned cls, unsigned capacity, enum flush_to to)
{
    struct batch *spare = load_relaxed(&bin->spare);
    flush_batch(unload(bin), cls, capacity, to);
    store_relaxed(&bin->spare, NULL);
    flush_batch(spare, cls, capacity, to);
}

static void flush_class(struct tcache *self, unsigned cls, enum flush_to to)
{
    flush_bin(&self->bins[cls], cls, self->capacity[cls], to);
    flush_bin(&self->away[cls], cls, self->capacity[cls], to);
    struct span *held = self->held[cls];
    self->held[cls] = NULL;
    if (held != NULL)
        central_release(held);
    refund(self, cls);
}

// Into the bins as far as there is room, so that they go on with others of their class.
static void flush_quarantine(struct tcache *self)
{
    struct quarantine *quarantine = load_relaxed(&self->quarantine);
    size_t from = 0;
    for (void *p; quarantine != NULL && (p = quarantine_next(quarantine, &from)) != NULL;) {
        uint32_t entry = page_entry(page_of(p));
        if (!bin_put(bin_of(self, entry), p))
            central_give(entry_class(entry), &p, 1);
    }
}

// A class without capacity holds nothing.
static void flush_classes(struct tcache *self, enum flush_to to)
{
    flush_quarantine(self);
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++)
        if (self->capacity[cls] != 0)
            flush_class(self, cls, to);
}

static void flush_all(struct tcache *self, enum flush_to to)
{
    flush_classes(self, to);
    while (self->blank_count > 0)
        batch_recycle(self->blanks[--self->blank_count]);
    if (to == FLUSH_TO_SPANS) // else the next thread is likely to use the classes that this one did
        memset(self->first_steps, 0, sizeof self->first_steps);
    memset(self->refused, 0, sizeof self->refused);
}

// What this thread has not used since the last time makes room. True if anything was there.
static bool flush_unused(struct tcache *self, unsigned wanted)
{
    bool any = false;
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++) {
        if (cls == wanted || self->capacity[cls] == 0 || (self->recent >> cls & 1) != 0)
            continue;
        flush_class(self, cls, FLUSH_TO_SPANS);
        any = true;
    }
    self->recent = 0;
    return any;
}

// A class whose batches have grown beyond the limit, though its spare one was not needed for two periods:
// what it holds is no wave, but what is left of objects that have become fewer.
static bool has_ebbed(const struct tcache *self, unsigned cls)
{
    return self->capacity[cls] > sealed.capacity_limit[cls] &&
           ((self->waves | self->waves_before) >> cls & 1) == 0;
}

// A class that met no slow path for two periods of this thread's slow paths gives up what it holds: the
// program's sizes have moved on.
static NOINLINE void end_period(struct tcache *self)
{
    bool grown = central_notes_growth();
    for (unsigned c = 1; c < SIZE_CLASS_COUNT; c++) {
        bool used = ((self->recent | self->recent_before) >> c & 1) != 0;
        if (self->capacity[c] != 0 && (!used || has_ebbed(self, c)))
            flush_class(self, c, FLUSH_TO_SPANS);
        if (used)
            continue;
        if (grown) // what other threads do not use either
            central_trim(c, false);
        else
            central_shed(c);
    }
    self->recent_before = self->recent;
    self->waves_before = self->waves;
    self->recent = self->waves = 0;
}

// Not at every shortage: a class that is served from its bin alone looks unused for a while. Nor for what
// would find no room if this thread gave up all that it has.
static bool make_room_for(struct tcache *self, unsigned wanted, uint64_t bytes)
{
    return has_room(load_relaxed(&charged_total) - self->charged, bytes, bytes) &&
           ++self->shortages % SHORTAGES_PER_FLUSH == 0 && flush_unused(self, wanted);
}

// A thread that was idle, or while memory is short, hands over all that it has; beyond its share, while room
// is short, what it does not use.
static NOINLINE void enter_epoch(struct tcache *self, unsigned cls)
{
    uint32_t now = load_relaxed(&epoch), passed = now - self->epoch;
    self->epoch = now;
    if (passed >= EPOCHS_IDLE)
        flush_classes(self, FLUSH_TO_SPANS);
    else if (is_beyond_share(self->charged) && is_short())
        flush_unused(self, cls);
}

void tcache_press(void) { fetch_add_relaxed(&epoch, EPOCHS_IDLE); }

void tcache_end_period(void)
{
    bool lowered = load_relaxed(&charged_total) > load_relaxed(&options.tcache_total);
    fetch_add_relaxed(&epoch, lowered ? EPOCHS_IDLE : 1);
}

static inline void note_use(struct tcache *self, unsigned cls)
{
    self->recent |= UINT64_C(1) << cls;
    if (unlikely(self->epoch != load_relaxed(&epoch)))
        enter_epoch(self, cls);
    if (unlikely(++self->slow_steps % PERIOD_STEPS == 0))
        end_period(self);
}

// --- Growing.

// Raises the capacity to `wanted` objects, if the common bound has room.
static bool grow_to(struct tcache *self, unsigned cls, size_t wanted)
{
    size_t capacity = self->capacity[cls];
    if (wanted <= capacity)
        return false;
    uint64_t bytes = room_for(self, cls, wanted) - room_for(self, cls, capacity);
    if (!charge(self, bytes) && !(make_room_for(self, cls, bytes) && charge(self, bytes)))
        return false;
    self->capacity[cls] = (uint8_t)wanted;
    return true;
}

// The same, but not beyond the limit.
static NOINLINE bool grow_below(struct tcache *self, unsigned cls, size_t wanted, size_t limit)
{
    if (is_draining(self, cls))
        limit = min_size(limit, declining_room(self, cls));
    return grow_to(self, cls, min_size(wanted, limit));
}

static inline bool grow(struct tcache *self, unsigned cls, size_t wanted, size_t limit)
{
    return self->capacity[cls] < limit && grow_below(self, cls, wanted, limit);
}

static size_t next_capacity(const struct tcache *self, unsigned cls)
{
    return max_size(FIRST_CAPACITY, 2 * (size_t)self->capacity[cls]);
}

static bool ensure_loaded(struct tcache *self, struct bin *bin, unsigned cls)
{
    if (load_relaxed(&bin->empty) != NULL)
        return true;
    struct batch *batch = self->capacity[cls] == 0 ? NULL : take_blank(self);
    if (batch != NULL)
        load(bin, batch, self->capacity[cls]);
    return batch != NULL;
}

// A bin is loaded with the capacity of that moment; later it may hold more.
static bool extend(struct tcache *self, struct bin *bin, unsigned cls)
{
    void **empty = load_relaxed(&bin->empty);
    if (empty == NULL || empty + self->capacity[cls] <= load_relaxed(&bin->full))
        return false;
    store_relaxed(&bin->full, empty + self->capacity[cls]);
    return true;
}

// --- Maintenance on the way to the spans; one clock reading, no system call.

static bool is_orphan(const struct tcache *cache)
{
    return load_acquire(&cache->state) == TCACHE_LIVE &&
           load_relaxed(&cache->generation) != registry_generation() && cache != tcache_own;
}

// A cache whose owner vanished inside a slow path may be half-changed: its objects stay out of reach.
static void adopt_orphans(void)
{
    for (struct tcache *cache = registry_first(); cache != NULL; cache = registry_next(cache)) {
        if (!is_orphan(cache) || load_relaxed(&cache->in_slow_path) != 0)
            continue;
        store_relaxed(&cache->in_slow_path, 1); // should this process fork meanwhile
        flush_all(cache, FLUSH_TO_SPANS);
        store_relaxed(&cache->in_slow_path, 0);
        registry_give(cache);
    }
}

static void maintain(void)
{
    if (unlikely(load_relaxed(&orphans) != 0) && exchange_relaxed(&orphans, 0) != 0)
        adopt_orphans();
    if (central_decay())
        tcache_end_period();
}

// --- The thread's cache, from its first call to its end.

static void set_up(struct tcache *self)
{
    self->base = sealed.map.base;
    self->pages = is_hardened() ? 0 : sealed.map.pages; // 0: every free takes its slow half
    self->hardened_pages = is_hardened() ? sealed.map.pages : 0;
    self->entries = sealed.map.entries;
    for (size_t size = 0; size <= SIZE_CLASS_SMALL_MAX; size++) {
        unsigned cls = size_class_small[size];
        bool cached = sealed.capacity_limit[cls] != 0 && !has_lone_blocks();
        self->class_field[size] = (uint8_t)(cached ? cls << PAGE_CLASS_SHIFT : 0);
    }
}

// Without memory for it freed slots do not wait.
static void add_quarantine(struct tcache *self)
{
    struct quarantine *quarantine = meta_alloc(sizeof *quarantine, CACHE_LINE);
    if (quarantine != NULL)
        quarantine_seed(quarantine);
    store_release(&self->quarantine, quarantine); // pairs with count_cache
}

static NOINLINE struct tcache *start(void)
{
    struct tcache *self = registry_take();
    if (self == NULL)
        return NULL;
    if (self->entries == NULL) // else another thread had it before
        set_up(self);
    self->epoch = load_relaxed(&epoch);
    if (has_canaries() && load_relaxed(&self->quarantine) == NULL)
        add_quarantine(self);
    become(self); // before pthread_setspecific, which may allocate
    decay_want_keeper();
    if (exit_key_works)
        pthread_setspecific(exit_key, self);
    return self;
}

// The calling thread's own cache; NULL when it has none (any more).
static inline struct tcache *enter(void)
{
    struct tcache *self = tcache_own;
    if (unlikely(self == &tcache_none) && (self = start()) == NULL)
        return NULL;
    if (unlikely(self == &tcache_gone))
        return NULL;
    store_relaxed(&self->in_slow_path, 1);
    compiler_fence(); // for the child of a fork: nothing below may be found done while the flag is down
    return self;
}

static void leave(struct tcache *self) { store_release(&self->in_slow_path, 0); }

static void flush_own(enum flush_to to)
{
    struct tcache *self = tcache_own == &tcache_none ? NULL : enter();
    if (self == NULL)
        return;
    flush_all(self, to);
    leave(self);
}

void tcache_flush(void) { flush_own(FLUSH_TO_SPANS); }

static void retire(enum flush_to to)
{
    struct tcache *self = tcache_own;
    if (self == &tcache_none || self == &tcache_gone)
        return;
    flush_own(to);
    become(&tcache_gone);
    registry_give(self);
}

void tcache_retire(void) { retire(FLUSH_TO_SPANS); }

static void thread_exits(void *cache)
{
    if (cache == tcache_own)
        retire(FLUSH_TO_POOL);
}

void tcache_after_fork(void)
{
    registry_after_fork();
    if (tcache_own != &tcache_none && tcache_own != &tcache_gone)
        store_relaxed(&tcache_own->generation, registry_generation());
    if (load_relaxed(&tcache_own->quarantine) != NULL)
        quarantine_seed(load_relaxed(&tcache_own->quarantine));
    store_relaxed(&orphans, 1);
}

// --- malloc's slow half.

static void *direct_take(unsigned cls, uint32_t home)
{
    void *p;
    return central_take(cls, &p, 1, home, CENTRAL_ALL, NULL) == 1 ? p : NULL;
}

static bool load_spare(struct tcache *self, struct bin *bin, unsigned cls)
{
    struct batch *spare = load_relaxed(&bin->spare);
    if (spare == NULL || batch_count(spare) == 0)
        return false;
    store_release(&bin->spare, unload(bin)); // pairs with count_of
    load(bin, spare, self->capacity[cls]);
    self->waves |= UINT64_C(1) << cls;
    return true;
}

// A thread that shares another one's span frees the objects away from home, and so hands each of them on; one
// span for each thread that uses the class is worth more than the memory it takes.
static bool wants_own_span(unsigned cls) { return central_spans(cls) < registry_live(); }

// The bin and the away bin change places: what lies in the latter was used here a moment ago, whereas a batch
// from the pool comes from another processor's cache. Where objects share a cache line with others the two
// threads' writes would meet there, so those go home. What was loaded so is freed into the away bin again,
// and a thread that holds few objects would change the two over and over: it gets others now and then.
static bool load_away(struct tcache *self, struct bin *bin, unsigned cls)
{
    struct bin *away = &self->away[cls];
    if (size_class_size(cls) % CACHE_LINE != 0 || loaded_count(away) == 0)
        return false;
    if (wants_own_span(cls) || self->slow_steps % AWAY_STEPS == 0)
        return false;
    struct batch *emptied = unload(bin), *objects = unload(away);
    if (central_drains(cls))
        central_drain(cls, objects);
    grow(self, cls, next_capacity(self, cls), sealed.capacity_limit[cls]);
    load(bin, objects, self->capacity[cls]);
    if (emptied != NULL)
        load(away, emptied, self->capacity[cls]);
    return loaded_count(bin) != 0;
}

// A full batch from the central pool takes the empty one's place.
static bool load_parked(struct tcache *self, struct bin *bin, unsigned cls, enum central_reach reach)
{
    struct batch *parked = central_pop_batch(cls, home_of(self), reach);
    if (parked == NULL)
        return false;
    grow(self, cls, batch_count(parked), sealed.wave_limit[cls]);
    if (self->capacity[cls] == 0) {
        give_batch(cls, parked);
        return false;
    }
    size_t surplus = batch_count(parked) - min_size(batch_count(parked), self->capacity[cls]);
    if (surplus != 0) { // no room for all of it
        batch_set_count(parked, batch_count(parked) - surplus);
        central_give(cls, parked->objects + batch_count(parked), surplus);
    }
    struct batch *emptied = unload(bin);
    load(bin, parked, self->capacity[cls]);
    if (emptied != NULL)
        keep_blank(self, emptied);
    return true;
}

static bool fill_from_spans(struct tcache *self, struct bin *bin, unsigned cls, enum central_reach reach)
{
    if (!ensure_loaded(self, bin, cls))
        return false;
    struct batch *batch = unload(bin);
    struct span **held = may_hold(cls, self->capacity[cls]) ? &self->held[cls] : NULL;
    batch_set_count(batch,
                    central_take(cls, batch->objects, self->capacity[cls], home_of(self), reach, held));
    load(bin, batch, self->capacity[cls]);
    return batch_count(batch) != 0;
}

static bool fill_near(struct tcache *self, struct bin *bin, unsigned cls)
{
    maintain();
    grow(self, cls, next_capacity(self, cls), sealed.capacity_limit[cls]);
    return fill_from_spans(self, bin, cls, CENTRAL_NEAR);
}

// Who frees what it allocated will find its objects near by again. Those of others would lie among theirs, in
// cache lines and pages that are in use elsewhere, and what others then take in return makes it worse. But
// above the soft limit a span of its own would be more memory, for which others' caches were flushed.
static bool fill_own(struct tcache *self, struct bin *bin, unsigned cls)
{
    bool apart = self->apart[cls] == APART && !limit_is_above_soft();
    return (wants_own_span(cls) || apart) && fill_from_spans(self, bin, cls, CENTRAL_OWN);
}

static size_t first_steps(unsigned cls)
{
    return max_size(FIRST_STEPS, size_class_size(cls) / FIRST_STEP_BYTES);
}

static bool is_first_step(struct tcache *self, unsigned cls)
{
    return self->capacity[cls] == 0 && self->first_steps[cls] < first_steps(cls) &&
           ++self->first_steps[cls] != 0;
}

void *tcache_refill(unsigned cls, size_t size)
{
    struct tcache *self = sealed.capacity_limit[cls] == 0 ? NULL : enter();
    if (self == NULL)
        return direct_take(cls, 1);
    self->refused[cls] = 0;
    struct bin *bin = &self->bins[cls];
    void *p = bin_pop(bin); // a thread's first call comes here though later ones would not
    if (p == NULL) {
        note_use(self, cls);
        store_relaxed(&self->refills[cls], load_relaxed(&self->refills[cls]) + 1);
        store_relaxed(&self->requested[cls], load_relaxed(&self->requested[cls]) + size);
        bool loaded = is_first_step(self, cls)
                          ? false
                          : load_spare(self, bin, cls) || load_away(self, bin, cls) ||
                                load_parked(self, bin, cls, CENTRAL_NEAR) || fill_near(self, bin, cls) ||
                                fill_own(self, bin, cls) || load_parked(self, bin, cls, CENTRAL_ALL) ||
                                fill_from_spans(self, bin, cls, CENTRAL_ALL);
        p = loaded ? bin_pop(bin) : direct_take(cls, home_of(self));
    }
    leave(self);
    return p;
}

// --- free's slow half.

static void park_or_give(struct tcache *self, unsigned cls, struct batch *batch)
{
    unsigned depth = central_push_batch(cls, batch), given = depth != 0 ? 0 : central_give_full(cls, batch);
    unsigned refused = self->refused[cls];
    bool emptied = (self->shed >> cls & 1) != 0;
    self->shed &= ~(UINT64_C(1) << cls);
    if (depth == 1 && !emptied) // who pushes alone finds more there
        self->refused[cls] = 0;
    else if (is_draining(self, cls))
        return;
    else if (depth != 0)
        self->refused[cls] = (uint16_t)(refused - (refused != 0));
    else if ((self->refused[cls] = (uint16_t)min_size(refused + given, REFUSALS)) == REFUSALS)
        flush_class(self, cls, FLUSH_TO_SPANS);
}

// Both batches are full. One more step of growth, or the older batch goes.
static bool make_room_beyond(struct tcache *self, struct bin *bin, unsigned cls)
{
    if (grow(self, cls, next_capacity(self, cls), sealed.wave_limit[cls]) && extend(self, bin, cls))
        return true;
    struct batch *room = take_blank(self);
    if (room == NULL)
        return false;
    struct batch *older = load_relaxed(&bin->spare);
    store_release(&bin->spare, unload(bin)); // pairs with count_of
    load(bin, room, self->capacity[cls]);
    park_or_give(self, cls, older);
    return load_relaxed(&bin->empty) != NULL; // else the class was given up meanwhile
}

// Makes room in a full bin; false when there is no memory for another batch or no room under the common
// bound.
static bool make_room(struct tcache *self, struct bin *bin, unsigned cls)
{
    if (self->apart[cls] < APART)
        self->apart[cls]++;
    if (extend(self, bin, cls))
        return true;
    if (grow(self, cls, next_capacity(self, cls), sealed.capacity_limit[cls]) && extend(self, bin, cls))
        return true;
    if (load_relaxed(&bin->empty) == NULL)
        return ensure_loaded(self, bin, cls);
    struct batch *spare = load_relaxed(&bin->spare);
    if (spare != NULL && batch_count(spare) != 0)
        return make_room_beyond(self, bin, cls);
    struct batch *room = spare != NULL ? spare : take_blank(self);
    if (room == NULL)
        return false;
    store_release(&bin->spare, unload(bin)); // pairs with count_of
    load(bin, room, self->capacity[cls]);
    return true;
}

static bool may_send(struct tcache *self, unsigned cls)
{
    uint64_t bit = UINT64_C(1) << cls;
    if ((self->sends & bit) == 0 && charge(self, self->capacity[cls] * size_class_size(cls)))
        self->sends |= bit;
    return (self->sends & bit) != 0;
}

// The class is being given up, and its bins shrink along with what is left of it.
static bool shrink(struct tcache *self, struct bin *bin, unsigned cls)
{
    flush_class(self, cls, FLUSH_TO_SPANS);
    central_shed(cls); // what lies in the pool counts as if it were in use: noted first, then given back
    central_shed(cls);
    self->shed |= UINT64_C(1) << cls;
    size_t room = min_size(declining_room(self, cls), sealed.capacity_limit[cls]);
    return grow_to(self, cls, room) && may_send(self, cls) && ensure_loaded(self, bin, cls);
}

// What belongs to draining spans goes home; how many objects those were.
static size_t drain_away(struct tcache *self, struct bin *bin, unsigned cls)
{
    struct batch *batch = central_drains(cls) ? unload(bin) : NULL;
    if (batch == NULL)
        return 0;
    size_t before = batch_count(batch);
    central_drain(cls, batch);
    load(bin, batch, self->capacity[cls]);
    return before - batch_count(batch);
}

static size_t room_in(struct bin *bin)
{
    return (size_t)(load_relaxed(&bin->full) - load_relaxed(&bin->top));
}

// Much of what came belongs to draining spans. The bin is kept small: the class is in decline, and should the
// thread stop, each object that waits would hold a page. If that goes on, and no malloc finds its bin empty
// meanwhile, the thread gives the class up.
static bool make_room_declining(struct tcache *self, struct bin *bin, unsigned cls)
{
    if (!is_draining(self, cls) && central_spans(cls) * size_class_table[cls].pages >= DECLINING_PAGES)
        self->refused[cls] = (uint16_t)min_size(self->refused[cls] + REFUSALS / DECLINES, REFUSALS);
    size_t kept = declining_room(self, cls);
    if (is_draining(self, cls) && self->capacity[cls] > 2 * kept)
        return shrink(self, bin, cls);
    size_t room = min_size(room_in(bin), max_size(DECLINING_ROOM, kept));
    store_relaxed(&bin->full, load_relaxed(&bin->top) + room);
    return true;
}

// The same for the away bin: a full batch goes at once.
static bool make_room_away(struct tcache *self, struct bin *bin, unsigned cls)
{
    size_t gone = drain_away(self, bin, cls), room = room_in(bin), half = (self->capacity[cls] + 1u) / 2;
    size_t much = is_draining(self, cls) ? half : DECLINING_ROOM / 2;
    if (room != 0 && min_size(gone, room) >= much)
        return make_room_declining(self, bin, cls);
    if ((room != 0 && room >= half) || extend(self, bin, cls))
        return true;
    if (grow(self, cls, next_capacity(self, cls), sealed.capacity_limit[cls]) && extend(self, bin, cls))
        return true;
    struct batch *full = unload(bin);
    if (full != NULL && self->apart[cls] > -APART)
        self->apart[cls]--;
    if (full != NULL)
        park_or_give(self, cls, full);
    return may_send(self, cls) && ensure_loaded(self, bin, cls);
}

static bool keeps_nothing(const struct tcache *self, unsigned cls)
{
    return is_draining(self, cls) && self->capacity[cls] == 0 && declining_room(self, cls) == 0;
}

static void give_alone(struct tcache *self, unsigned cls, void *p)
{
    central_give(cls, &p, 1);
    if (is_draining(self, cls) && ++self->refused[cls] == REFUSALS + GIVEN_ALONE)
        self->refused[cls] = 0;
}

static void push(struct tcache *self, struct bin *bin, unsigned cls, void *p)
{
    if (load_relaxed(&bin->top) != load_relaxed(&bin->full) && *load_relaxed(&bin->top) == p)
        central_give(cls, (void *[]){p, p}, 2); // freed twice in a row: says so and aborts
    if (bin_push(bin, p)) // a thread's first call comes here though later ones would not
        return;
    note_use(self, cls);
    store_relaxed(&self->flushes, load_relaxed(&self->flushes) + 1);
    bool room = !is_first_step(self, cls) && !keeps_nothing(self, cls) &&
                (bin == &self->bins[cls] ? make_room(self, bin, cls) : make_room_away(self, bin, cls));
    if (!room || !bin_push(bin, p))
        give_alone(self, cls, p);
}

void tcache_overflow(void *p, uint32_t entry)
{
    unsigned cls = entry_class(entry);
    struct tcache *self = sealed.capacity_limit[cls] == 0 ? NULL : enter();
    if (self == NULL) {
        central_give(cls, &p, 1);
        return;
    }
    push(self, bin_of(self, entry), cls, p);
    leave(self);
}

// --- Counting and checking.

static uint64_t count_between(void **empty, void **top)
{
    // Another thread's words are not read at one moment: what makes no sense counts as nothing.
    size_t n = (size_t)(top - empty);
    return top < empty || n > BATCH_SLOTS ? 0 : n;
}

static unsigned count_of(batch_place *place)
{
    struct batch *batch =
        load_acquire(place); // pairs with the owner's release; the batch itself is type-stable
    return batch == NULL ? 0 : batch_count(batch);
}

static uint64_t count_bin(struct bin *bin)
{
    return count_between(load_relaxed(&bin->empty), load_relaxed(&bin->top)) + count_of(&bin->spare);
}

static void count_cache(struct tcache_counts *counts, struct tcache *cache)
{
    counts->caches++;
    counts->live += load_relaxed(&cache->state) == TCACHE_LIVE;
    counts->flushes += load_relaxed(&cache->flushes);
    struct quarantine *quarantine = load_acquire(&cache->quarantine); // pairs with add_quarantine
    if (quarantine != NULL)
        quarantine_count_shared(quarantine, counts->objects);
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++) {
        counts->objects[cls] += count_bin(&cache->bins[cls]) + count_bin(&cache->away[cls]);
        counts->refills[cls] += load_relaxed(&cache->refills[cls]);
        counts->requested[cls] += load_relaxed(&cache->requested[cls]);
    }
}

void tcache_counts_shared(struct tcache_counts *counts)
{
    memset(counts, 0, sizeof *counts);
    counts->room = load_relaxed(&charged_total);
    for (struct tcache *cache = registry_first(); cache != NULL; cache = registry_next(cache))
        count_cache(counts, cache);
}

static bool bin_validate(const struct tcache *self, struct bin *bin, unsigned cls)
{
    void **empty = load_relaxed(&bin->empty), **top = load_relaxed(&bin->top),
         **full = load_relaxed(&bin->full);
    if (empty > top || top > full || full - empty > self->capacity[cls])
        return false;
    for (void **object = empty; object != top;)
        if (entry_class(page_entry(page_of(*++object))) != cls)
            return false;
    return count_of(&bin->spare) <= self->capacity[cls];
}

static bool class_validate(struct tcache *self, unsigned cls)
{
    return self->capacity[cls] <= sealed.wave_limit[cls] && bin_validate(self, &self->bins[cls], cls) &&
           bin_validate(self, &self->away[cls], cls);
}

bool tcache_validate(void)
{
    struct tcache *self = tcache_own;
    uint64_t charged = 0;
    if (self == &tcache_none || self == &tcache_gone)
        return true;
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++) {
        if (!class_validate(self, cls))
            return false;
        charged += room_for(self, cls, self->capacity[cls]);
    }
    return charged == self->charged;
}
