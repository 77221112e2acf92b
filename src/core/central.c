// SPDX-License-Identifier: MIT
#include "core/central.h"

#include "buddy/page_heap.h"
#include "core/bits.h"
#include "core/canary.h"
#include "core/decay.h"
#include "core/guard.h"
#include "core/harden.h"
#include "core/limit.h"
#include "core/misuse.h"
#include "core/os.h"
#include "core/page_map.h"
#include "core/random.h"
#include <limits.h>
#include <string.h>

// Spans with free slots lie in buckets by how full they are; allocation takes from the fullest, so that
// sparse ones drain and go home. A listed span's place grows stale as slots come back: whoever takes it puts
// it where it belongs.
#define BUCKETS 4
// While spans are visited they are out of reach, so few at a time come to rest, and a class of many spans is
// visited less often.
#define RESTS 1024
#define VISITS_PER_PERIOD 4096
#define RELOCATIONS 8 // how many stale places one search mends
#define LOOKS 8       // how many spans the search for a denser one compares
// Full batches of one class in one shard hold at most about this many bytes.
#define PARKED_BYTES ((size_t)64 << 10)
#define PARKED_WAVES 2 // of those that grew large in a cache
#define GATHERED 16    // so many batches of a full pool go back to their spans in one step
#define PIECE (BATCH_SLOTS + 1)
#define CHAINS 256
#define CHAIN_END UINT16_MAX
#define CHAINED_LEAST 8 // fewer objects are given one after the other
// A heap has grown when it holds so many bytes more, and so much of what it held.
#define GROWTH_LEAST ((size_t)2 << 20)
#define GROWTH_SHARE 16
// A class is worth a search when its free slots are so much of the heap, or when as much as this is likely to
// go back.
#define CONTAINED_SHARE 16
#define SPARE_SHARE 512
#define SPARE_LEAST ((size_t)1 << 20)
#define WHOLE 65536 // parts are counted in these
// Wholly free spans are swept out of the buckets when there are this many, and an eighth of all that are
// listed.
#define SWEEP_LEAST 4
// Slots are looked at before they are handed out, and a first read would cost a fault of its own.
#define POPULATED_PAGES 2
// So many guards may stand before only one span in a share gets one.
#define GUARDS_EVERYWHERE 128
#define GUARDED_SHARE 4
#define DRAINING_PARTS 4 // a span drains when one slot in so many is free

// A pool is divided by the home of what lies in it: threads look into their own shard first. So the slots of
// a span mostly stay with threads of one shard, which then do not write to each other's cache lines.
#define SHARDS 8

struct shard {
    _Alignas(CACHE_LINE) batch_stack full;
    atomic_u32 lowest_depth;            // of `full` since the last trim; relaxed: a hint
    atomic_u64 buckets[BUCKETS];        // tag << 32 | link to the top span
    atomic_u64 batches_in, batches_out; // relaxed, counted roughly
};

_Static_assert(sizeof(struct shard) == CACHE_LINE, "a shard is one cache line");

struct central {
    struct shard shards[SHARDS];
    // Relaxed: these only count. `empty` may be off for the moment between a step and its counting.
    _Alignas(CACHE_LINE) atomic_i64 listed, empty;
    atomic_u64 spans_made, spans_retired;
    atomic_u64 rested_bytes;
    atomic_i64 out;      // slots that are not in their spans; below 0 for a moment
    atomic_i64 draining; // relaxed: spans without a home; below 0 for a moment
    atomic_u32
        restless; // relaxed: 1 when a listed span is sparse and has not come to rest, perhaps when none is
    atomic_u32 pause; // relaxed: periods without a visit
};

static struct central centrals[SIZE_CLASS_COUNT] TABLE;
static atomic_u64
    used_classes;             // relaxed; bit c: class c has had a span. The others' pools were never touched
static atomic_u64 calm_bytes; // relaxed: what the heap held when growth was noted last, or less since
static struct decay_clock decay_clock;

// In a child of fork the steps of threads that vanished may be counted by half; what they held stays out of
// reach.
static bool counts_are_exact = true;

void central_after_fork(void) { counts_are_exact = false; }

static unsigned bound_of(unsigned cls)
{
    size_t batch_bytes = size_class_size(cls) * size_class_table[cls].batch;
    return (unsigned)max_size(2, min_size(BATCH_STACK_DEEPEST, PARKED_BYTES / batch_bytes));
}

void central_init(void)
{
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++)
        sealed.parked_bound[cls] = (uint8_t)bound_of(cls);
    decay_clock_start(&decay_clock);
}

uint64_t central_spans(unsigned cls)
{
    uint64_t made = load_relaxed(&centrals[cls].spans_made),
             retired = load_relaxed(&centrals[cls].spans_retired);
    return made > retired ? made - retired : 0;
}

static struct shard *shard_of(struct central *self, uint32_t home) { return &self->shards[home % SHARDS]; }

static uint32_t home_at(page_id page) { return page_entry_known(page) >> PAGE_HOME_SHIFT; }

// A statistic beside the word that was just exchanged, without an exchange of its own: it may miss one.
static void count_roughly(atomic_u64 *count) { store_relaxed(count, load_relaxed(count) + 1); }

static struct batch *pop_counted(struct shard *self)
{
    if (batch_depth(&self->full) == 0)
        return NULL;
    struct batch *batch = batch_pop(&self->full);
    if (batch != NULL && batch_depth(&self->full) < load_relaxed(&self->lowest_depth))
        store_relaxed(&self->lowest_depth, batch_depth(&self->full));
    return batch;
}

struct batch *central_pop_batch(unsigned cls, uint32_t home, enum central_reach reach)
{
    struct batch *batch = NULL;
    uint32_t shards = reach == CENTRAL_ALL ? SHARDS : 1;
    for (uint32_t i = 0; i < shards && batch == NULL; i++) {
        struct shard *shard = shard_of(&centrals[cls], home + i);
        batch = pop_counted(shard);
        if (batch != NULL)
            count_roughly(&shard->batches_out);
    }
    return batch;
}

static struct shard *shard_of_batch(struct central *self, struct batch *batch)
{
    return shard_of(self, batch_count(batch) == 0 ? 0 : home_at(page_of(batch->objects[0])));
}

unsigned central_push_batch(unsigned cls, struct batch *batch)
{
    struct shard *shard = shard_of_batch(&centrals[cls], batch);
    bool ordinary = batch_count(batch) * size_class_size(cls) <= PARKED_BYTES / 2;
    if (!batch_push(&shard->full, batch, ordinary ? sealed.parked_bound[cls] : PARKED_WAVES))
        return 0;
    decay_note();
    count_roughly(&shard->batches_in);
    return (unsigned)max_size(1, batch_depth(&shard->full)); // it may be taken already
}

// --- Buckets: stacks of spans, linked by page numbers through type-stable descriptors.

static unsigned bucket_of(int64_t free, size_t slots)
{
    int64_t part = free * BUCKETS / (int64_t)(slots + 1);
    return part < 0 ? 0 : (unsigned)part;
}

// A link is a span's page number + 1, or 0.
static uint32_t link_to(const struct span *span) { return span->first.n + 1; }
static struct span *linked(uint32_t link) { return span_at((page_id){link - 1}); }

static uint64_t bucket_word(uint64_t before, uint32_t link) { return ((before >> 32) + 1) << 32 | link; }

static void bucket_push(atomic_u64 *bucket, struct span *span)
{
    uint64_t before = load_relaxed(bucket);
    do
        store_relaxed(&span->next, (uint32_t)before);
    while (!cas_weak_acq_rel(bucket, &before, bucket_word(before, link_to(span))));
}

// Whoever gets a span off a bucket is its holder.
static struct span *bucket_pop(atomic_u64 *bucket)
{
    uint64_t before = load_acquire(bucket); // pairs with bucket_push, for the link below
    while ((uint32_t)before != 0) {
        struct span *top = linked((uint32_t)before);
        uint32_t below = load_relaxed(&top->next); // if somebody popped `top`, the tag tells
        if (cas_weak_acq_rel(bucket, &before, bucket_word(before, below)))
            return top;
    }
    return NULL;
}

static uint32_t bucket_detach(atomic_u64 *bucket)
{
    uint64_t before = load_acquire(bucket); // pairs with bucket_push
    while ((uint32_t)before != 0 && !cas_weak_acq_rel(bucket, &before, bucket_word(before, 0)))
        continue;
    return (uint32_t)before;
}

// Something is free that a visit may find. Only from then on, or a visit that comes between finds nothing and
// nobody makes another.
static inline void note_restless(struct central *self)
{
    if (load_relaxed(&self->restless) == 0)
        store_relaxed(&self->restless, 1);
    decay_note();
}

// Half of its slots are free at least: others of its class serve allocation first.
static bool is_sparse(struct span *span) { return 2 * span_free(span) >= span->slots; }

static void list_span(struct central *self, struct span *span)
{
    bool rests = span->age == SPAN_RESTING, restless = !rests && is_sparse(span);
    unsigned bucket = rests ? BUCKETS - 1 : bucket_of(span_free(span), span->slots);
    struct shard *shard = shard_of(self, home_at(span->first));
    fetch_add_relaxed(&self->listed, 1);
    bucket_push(&shard->buckets[bucket], span);
    if (restless)
        note_restless(self);
}

static void hold_popped(struct central *self, struct span *span)
{
    fetch_sub_relaxed(&self->listed, 1);
    if (span_hold(span) == SPAN_NOTE_NOT_EMPTY)
        fetch_sub_relaxed(&self->empty, 1);
}

static page_id guard_of(const struct span *span)
{
    return (page_id){span->first.n + size_class_table[span->cls].pages};
}

// --- Draining. A thread that frees and allocates at the same rate uses the same slots again, and never comes
// to the spans: those of a class that is used less than before would stay sparse for ever. So a span that
// gets slots back and is not nearly full then loses its home. Whoever frees an object of it puts it into the
// away bin, and from there it goes back to the span; new ones come from denser spans, until there are none,
// and whoever takes slots then gives the span a home again.

static bool is_draining(uint32_t home) { return (home & PAGE_HOME_NONE) != 0; }

// Several givers and a taker may do so at once: what each found there says who counts.
static void move_home(struct central *self, struct span *span, uint32_t home)
{
    uint32_t before = span_set_home(span, home);
    fetch_add_relaxed(&self->draining, is_draining(home) - is_draining(before));
}

// The caller has given n slots back and not counted them yet, so nobody can retire the span.
static void drain_if_sparse(struct central *self, struct span *span, unsigned n)
{
    uint32_t home = home_at(span->first);
    if (is_draining(home) || DRAINING_PARTS * (span_free(span) + n) < span->slots)
        return;
    if (!span_is_held(span))
        move_home(self, span, home | PAGE_HOME_NONE);
}

static void stop_draining(struct central *self, struct span *span)
{
    if (is_draining(home_at(span->first)))
        fetch_sub_relaxed(&self->draining, 1);
}

bool central_drains(unsigned cls) { return load_relaxed(&centrals[cls].draining) > 0; }

void central_drain(unsigned cls, struct batch *batch)
{
    size_t n = batch_count(batch), kept = 0;
    for (size_t i = 0; i < n; i++) {
        void *p = batch->objects[i];
        if (is_draining(home_at(page_of(p))))
            continue;
        batch->objects[i] = batch->objects[kept];
        batch->objects[kept++] = p;
    }
    central_give(cls, batch->objects + kept, n - kept);
    batch_set_count(batch, kept);
}

static void retire(struct central *self, struct span *span)
{
    stop_draining(self, span);
    if (span->rested != 0) { // its pages count as if all of them held memory
        limit_charge(span->rested);
        limit_wake(span->rested);
    }
    fetch_add_relaxed(&self->spans_retired, 1);
    page_map_set(span->first, load_relaxed(&span->pages), 0);
    if (load_relaxed(&span->guarded))
        page_heap_give_tailed(span->first, load_relaxed(&span->pages) + 1);
    else
        page_heap_give(span->first, load_relaxed(&span->pages));
}

void central_release(struct span *span)
{
    struct central *self = &centrals[span->cls];
    switch (span_release(span)) {
    case SPAN_RETIRE:
        retire(self, span);
        break;
    case SPAN_LIST:
        list_span(self, span);
        break;
    default: // full: the first to give a slot back lists it
        break;
    }
}

static struct span *hold_from_bucket(struct central *self, struct shard *shard, unsigned bucket,
                                     unsigned *relocations)
{
    struct span *span;
    while ((span = bucket_pop(&shard->buckets[bucket])) != NULL) {
        hold_popped(self, span);
        if (bucket_of(span_free(span), span->slots) <= bucket || *relocations == 0)
            return span;
        --*relocations;
        central_release(span);
    }
    return NULL;
}

// A held span with free slots from the fullest bucket of the shard that has one, or NULL.
static struct span *hold_listed(struct central *self, struct shard *shard)
{
    unsigned relocations = RELOCATIONS;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        struct span *span = hold_from_bucket(self, shard, bucket, &relocations);
        if (span != NULL)
            return span;
    }
    return NULL;
}

// A span's slots as canaries want them: what is watched of each is zero, and so is its word.
static void clear_slots(page_id first, unsigned cls)
{
    size_t slot = size_class_size(cls), size = size_class_table[cls].slots * slot;
    char *start = page_address(first);
    if (slot <= SLOT_CLEARED)
        memset(start, 0, size);
    else
        for (size_t at = 0; at < size; at += slot)
            canary_set_freed_long(start + at, slot, 0);
}

// One that was retired and has its guard still. The slots of the same class are free, as they were then.
static struct span *make_span_again(page_id first, unsigned cls, uint32_t home)
{
    if (span_at(first)->cls != cls)
        clear_slots(first, cls);
    struct span *span = span_make_small(first, cls, home);
    store_relaxed(&span->guarded, true);
    return span;
}

// Each guard parts a mapping of the kernel's and keeps pages from being huge ones: a small heap has them
// everywhere, a larger one where chance wants them.
static bool wants_guard(void)
{
    return guard_is_possible() && (guard_count() < GUARDS_EVERYWHERE || random_below(GUARDED_SHARE) == 0);
}

static struct span *make_guarded_span(unsigned cls, uint32_t home)
{
    size_t pages = size_class_table[cls].pages, guards = wants_guard() ? 1 : 0;
    page_id retired = page_heap_take_tailed(pages + 1);
    if (retired.n != NO_PAGE.n)
        return make_span_again(retired, cls, home);
    struct page_block block = page_heap_take(pages + guards, PAGE_SIZE);
    if (block.first.n == NO_PAGE.n)
        return NULL;
    if (!block.clean)
        clear_slots(block.first, cls);
    else if (pages <= POPULATED_PAGES)
        os_populate(page_address(block.first), pages * PAGE_SIZE);
    struct span *span = span_make_small(block.first, cls, home);
    bool guarded = guards != 0 && guard_raise(guard_of(span), 1);
    store_relaxed(&span->guarded, guarded);
    if (guards != 0 && !guarded)
        page_heap_give(guard_of(span), 1);
    return span;
}

static struct span *make_plain_span(unsigned cls, uint32_t home)
{
    struct page_block block = page_heap_take(size_class_table[cls].pages, PAGE_SIZE);
    return block.first.n == NO_PAGE.n ? NULL : span_make_small(block.first, cls, home);
}

static struct span *make_span(struct central *self, unsigned cls, uint32_t home)
{
    struct span *span = has_canaries() ? make_guarded_span(cls, home) : make_plain_span(cls, home);
    if (span != NULL && fetch_add_relaxed(&self->spans_made, 1) == 0)
        fetch_or_relaxed(&used_classes, UINT64_C(1) << cls);
    return span;
}

static bool is_used(unsigned cls) { return (load_relaxed(&used_classes) >> cls & 1) != 0; }

static struct span *hold_any(unsigned cls, uint32_t home, enum central_reach reach)
{
    struct central *self = &centrals[cls];
    // The pool was never touched, or its first span is about to be noted: then the class has two.
    if (!is_used(cls))
        return reach == CENTRAL_NEAR ? NULL : make_span(self, cls, home);
    struct span *span = hold_listed(self, shard_of(self, home));
    if (span != NULL || reach == CENTRAL_NEAR)
        return span;
    for (uint32_t i = 1; reach == CENTRAL_ALL && i < SHARDS && load_relaxed(&self->listed) > 0; i++)
        if ((span = hold_listed(self, shard_of(self, home + i))) != NULL)
            return span;
    return make_span(self, cls, home);
}

// Slots are about to be taken from a span of which some lie with the kernel.
static bool wake(struct span *span)
{
    if (likely(span->rested == 0))
        return true;
    if (!page_heap_reserve(span->rested))
        return false;
    limit_wake(span->rested);
    span->rested = 0;
    return true;
}

// A held span in which nothing lies with the kernel.
static struct span *hold_awake(unsigned cls, uint32_t home, enum central_reach reach)
{
    struct span *span = hold_any(cls, home, reach);
    if (span == NULL || wake(span))
        return span;
    central_release(span);
    return NULL;
}

// A span that is listed or kept has a count above zero, and its bits are never behind its count: something is
// taken.
size_t central_take(unsigned cls, void **out, size_t n, uint32_t home, enum central_reach reach,
                    struct span **held)
{
    struct span *span = held != NULL ? *held : NULL;
    if (span == NULL) {
        span = hold_awake(cls, home, reach);
        if (span == NULL)
            return 0;
        if (held != NULL || is_draining(home_at(span->first)))
            move_home(&centrals[cls], span, home);
    }
    size_t taken = span_take(span, out, n);
    fetch_add_relaxed(&centrals[cls].out, (int64_t)taken);
    bool keep = held != NULL && span_free(span) > 0;
    if (!keep)
        central_release(span);
    if (held != NULL)
        *held = keep ? span : NULL;
    return taken;
}

// Holds up to LOOKS spans from the front of the pool, one that is much denser last. Sparse ones lie in no
// order, and one alone at the front would stand in the way of all that are a little denser.
static unsigned hold_some(struct central *self, uint32_t home, int64_t free, struct span **held)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < SHARDS && n < LOOKS && load_relaxed(&self->listed) > 0; i++)
        for (struct span *span; n < LOOKS && (span = hold_listed(self, shard_of(self, home + i))) != NULL;) {
            held[n++] = span;
            if (span_free(span) < free / 2)
                return n;
        }
    return n;
}

// The sum of the squares of what is live in each span rises with each move, so moves come to an end.
void *central_take_denser(struct span *than)
{
    struct central *self = &centrals[than->cls];
    int64_t free = span_free(than);
    struct span *held[LOOKS];
    void *p = NULL;
    unsigned n = hold_some(self, home_at(than->first), free, held), densest = n;
    for (unsigned i = 0; i < n; i++)
        if (held[i] != than && span_free(held[i]) <= free) {
            free = span_free(held[i]);
            densest = i;
        }
    if (densest != n && wake(held[densest]))
        fetch_add_relaxed(&self->out, (int64_t)span_take(held[densest], &p, 1));
    while (n-- > 0)
        central_release(held[n]);
    return p;
}

size_t central_out(unsigned cls)
{
    int64_t out = load_relaxed(&centrals[cls].out);
    return out < 0 ? 0 : (size_t)out;
}

size_t central_average_live(unsigned cls)
{
    struct central *self = &centrals[cls];
    uint64_t retired = load_relaxed(&self->spans_retired), made = load_relaxed(&self->spans_made);
    int64_t out = load_relaxed(&self->out);
    return made <= retired || out <= 0 ? 0 : (size_t)((uint64_t)out / (made - retired));
}

// --- Giving back.

// Detaches a whole bucket and puts its spans where they belong now; wholly free ones go home.
static void sweep_bucket(struct central *self, atomic_u64 *bucket)
{
    for (uint32_t link = bucket_detach(bucket); link != 0;) {
        struct span *span = linked(link);
        link = load_relaxed(&span->next);
        hold_popped(self, span);
        central_release(span);
    }
}

static void sweep(struct central *self)
{
    for (unsigned i = 0; i < SHARDS * BUCKETS; i++) {
        atomic_u64 *bucket = &self->shards[i / BUCKETS].buckets[i % BUCKETS];
        if ((uint32_t)load_relaxed(bucket) != 0)
            sweep_bucket(self, bucket);
    }
}

static void note_empty(struct central *self)
{
    int64_t empty = fetch_add_relaxed(&self->empty, 1) + 1;
    if (empty >= SWEEP_LEAST && empty * 8 >= load_relaxed(&self->listed))
        sweep(self);
}

static void count_given(struct central *self, struct span *span, unsigned n)
{
    drain_if_sparse(self, span, n);
    switch (span_count_given(span, n)) {
    case SPAN_LIST:
        list_span(self, span);
        break;
    case SPAN_LIST_EMPTY:
        list_span(self, span);
        note_empty(self);
        break;
    case SPAN_NOTE_EMPTY:
        note_empty(self);
        break;
    default:
        break;
    }
    note_restless(self);
}

// Objects of one span are given back together: one step for each bitmap word, and one count.
struct give_run {
    struct span *span;  // NULL at first
    uintptr_t start;    // of its slots
    size_t bytes;       // of its slots
    uint32_t words;     // bit w: masks[w] != 0
    unsigned counted;   // bits in the masks
    uint64_t masks[16]; // not given yet
};

_Static_assert(sizeof((struct give_run *)0)->masks == sizeof((struct span *)0)->bits, "a mask for each word");

static void *slot_address(const struct span *span, size_t slot)
{
    return (void *)(span_start(span) + slot * (uintptr_t)span->size);
}

static _Noreturn void given_twice(void *p, size_t slot) { misuse_double_free(p, canary_sites(p, slot)); }

static inline void give_mask(struct span *span, size_t word, uint64_t mask)
{
    uint64_t twice = span_give_bits(span, word, mask) & mask;
    if (unlikely(twice != 0))
        given_twice(slot_address(span, word * 64 + bits_lowest(twice)), span->size);
}

static void give_word(struct give_run *run, unsigned word)
{
    give_mask(run->span, word, run->masks[word]);
    run->masks[word] = 0;
}

static void end_span(struct give_run *run, struct central *self)
{
    for (; run->words != 0; run->words &= run->words - 1)
        give_word(run, bits_lowest(run->words));
    if (run->counted != 0)
        count_given(self, run->span, run->counted);
    run->counted = 0;
}

static struct span *checked_span(unsigned cls, void *p, page_id page)
{
    uint32_t entry = page_entry(page);
    if (unlikely(entry_class(entry) != cls || !entry_is_small(entry)))
        misuse_double_free(p, NO_SITES); // its span went home: somebody else gave the object back before
    return span_of_page(page);
}

static NOINLINE void go_to_span(struct give_run *run, struct central *self, unsigned cls, void *p)
{
    end_span(run, self);
    run->span = checked_span(cls, p, page_of(p));
    run->start = span_start(run->span);
    run->bytes = (size_t)run->span->slots * run->span->size;
}

static NOINLINE _Noreturn void reject(unsigned cls, void *p) { span_reject("free", p, page_of(p), cls); }

static inline size_t checked_slot(unsigned cls, void *p, uintptr_t start)
{
    size_t slot = span_slot_of(cls, p, start);
    if (unlikely(slot == SIZE_MAX))
        reject(cls, p);
    return slot;
}

static inline bool reaches(const struct give_run *run, const void *p)
{
    return run->span != NULL && (uintptr_t)p - run->start < run->bytes;
}

static inline void give_one(struct give_run *run, struct central *self, unsigned cls, void *p)
{
    if (!reaches(run, p))
        go_to_span(run, self, cls, p);
    size_t slot = checked_slot(cls, p, run->start), word = slot / 64;
    uint64_t bit = UINT64_C(1) << (slot % 64);
    if (unlikely((run->masks[word] & bit) != 0))
        given_twice(p, run->span->size);
    run->masks[word] |= bit;
    run->words |= 1u << word;
    run->counted++;
}

// Objects chained by the page that they lie in: a structure that the program tears down comes in an order of
// its own, and a batch of it has hardly two neighbours of one span.
struct gathering {
    void **pieces[GATHERED]; // of at most PIECE objects each; an object's place: piece * PIECE + index
    unsigned count;
    size_t objects;
    uint64_t used[CHAINS / 64]; // bit c: first[c] is the place of an object, else it is CHAIN_END
    uint16_t first[CHAINS];
    uint16_t next[GATHERED * PIECE]; // CHAIN_END after the last
};

static void gathering_start(struct gathering *self)
{
    self->count = 0;
    self->objects = 0;
    memset(self->used, 0, sizeof self->used);
    memset(self->first, 0xff, sizeof self->first);
}

static void **gathered(const struct gathering *self, size_t place)
{
    return &self->pieces[place / PIECE][place % PIECE];
}

static void gather(struct gathering *self, void **objects, size_t n)
{
    size_t from = (size_t)self->count * PIECE;
    self->pieces[self->count++] = objects;
    self->objects += n;
    for (size_t i = 0; i < n; i++) {
        size_t chain = ((uintptr_t)objects[i] >> PAGE_SHIFT) % CHAINS;
        self->used[chain / 64] |= UINT64_C(1) << (chain % 64);
        self->next[from + i] = self->first[chain];
        self->first[chain] = (uint16_t)(from + i);
    }
}

// Objects that follow each other in one bitmap word take one step; how many those are. What lies in another
// span, or is no slot's start, has no slot here and ends the step. So does one that comes twice: the next
// step finds its bit set, or its span gone home.
static inline size_t give_neighbours(struct central *self, unsigned cls, void **objects, size_t n)
{
    struct span *span = checked_span(cls, objects[0], page_of(objects[0]));
    uintptr_t start = span_start(span);
    size_t slot = checked_slot(cls, objects[0], start), word = slot / 64, given = 1;
    uint64_t mask = UINT64_C(1) << (slot % 64);
    for (; given < n; given++) {
        slot = span_slot_of(cls, objects[given], start);
        uint64_t bit = UINT64_C(1) << (slot % 64);
        if (slot / 64 != word || (mask & bit) != 0)
            break;
        mask |= bit;
    }
    give_mask(span, word, mask);
    count_given(self, span, (unsigned)given);
    return given;
}

// Nothing else of the chain is in the object's span, nor is that the span at hand.
static bool is_alone(const struct gathering *self, size_t place, const struct give_run *run)
{
    return self->next[place] == CHAIN_END && !reaches(run, *gathered(self, place));
}

static void give_chains(struct gathering *self, struct central *central, unsigned cls)
{
    struct give_run run = {.span = NULL};
    for (size_t word = 0; word < CHAINS / 64; word++)
        for (uint64_t used = self->used[word]; used != 0; used &= used - 1) {
            size_t place = self->first[word * 64 + bits_lowest(used)];
            if (is_alone(self, place, &run)) {
                give_neighbours(central, cls, gathered(self, place), 1);
                continue;
            }
            for (; place != CHAIN_END; place = self->next[place])
                give_one(&run, central, cls, *gathered(self, place));
        }
    end_span(&run, central);
    fetch_sub_relaxed(&central->out, (int64_t)self->objects);
}

static void give_in_turn(unsigned cls, void **objects, size_t n)
{
    struct central *self = &centrals[cls];
    for (size_t i = 0; i < n;)
        i += give_neighbours(self, cls, objects + i, n - i);
    fetch_sub_relaxed(&self->out, (int64_t)n);
}

void central_give(unsigned cls, void **objects, size_t n)
{
    struct gathering gathering; // not cleared: most of it is not used
    if (n < CHAINED_LEAST || n > PIECE) {
        give_in_turn(cls, objects, n);
        return;
    }
    gathering_start(&gathering);
    gather(&gathering, objects, n);
    give_chains(&gathering, &centrals[cls], cls);
}

unsigned central_give_full(unsigned cls, struct batch *batch)
{
    struct gathering gathering; // not cleared, as above
    struct batch *batches[GATHERED];
    struct shard *shard = shard_of_batch(&centrals[cls], batch);
    unsigned bound = batch_depth(&shard->full), n = 0;
    gathering_start(&gathering);
    do {
        gather(&gathering, batch->objects, batch_count(batch));
        batches[n++] = batch;
    } while (n <= bound / 2 && n < GATHERED && (batch = pop_counted(shard)) != NULL);
    give_chains(&gathering, &centrals[cls], cls);
    for (unsigned i = 0; i < n; i++)
        batch_recycle(batches[i]);
    return n;
}

// --- Trimming, counting, checking.

static void give_batches(struct shard *self, unsigned cls, unsigned n)
{
    struct batch *batch;
    while (n-- > 0 && (batch = pop_counted(self)) != NULL) {
        central_give(cls, batch->objects, batch_count(batch));
        batch_recycle(batch);
    }
}

static void trim_shard(struct shard *self, unsigned cls, bool all)
{
    unsigned depth = batch_depth(&self->full);
    if (depth == 0 && load_relaxed(&self->lowest_depth) == 0)
        return;
    unsigned unused = exchange_relaxed(&self->lowest_depth, depth);
    give_batches(self, cls, all ? BATCH_STACK_DEEPEST : (unsigned)min_size(unused, depth));
}

struct visit {
    bool all;
    unsigned visited, rests; // rests: that are left
    uint64_t bytes;          // that shall go back yet
};

// What went back before may be part of it.
static size_t rest(struct central *self, struct span *span)
{
    size_t before = span->rested, purged = span_rest(span);
    fetch_add_relaxed(&self->rested_bytes, purged);
    if (purged <= before)
        return 0;
    span->rested = (uint32_t)purged;
    limit_rest(purged - before);
    return purged - before;
}

static void visit_span(struct visit *self, struct central *central, struct span *span)
{
    bool due = (span_visit(span) || (self->all && span->age != SPAN_RESTING)) && is_sparse(span);
    if (due && self->rests > 0 && self->bytes > 0) {
        self->bytes -= min_size(self->bytes, rest(central, span));
        self->rests--;
    }
    self->visited++;
}

static void visit_bucket(struct visit *self, struct central *central, atomic_u64 *bucket)
{
    for (uint32_t link = bucket_detach(bucket); link != 0;) {
        struct span *span = linked(link);
        link = load_relaxed(&span->next);
        hold_popped(central, span);
        visit_span(self, central, span);
        central_release(span);
    }
}

static bool visit_is_due(struct central *self, bool all)
{
    uint32_t pause = load_relaxed(&self->pause);
    if (load_relaxed(&self->restless) == 0)
        return false;
    if (pause != 0 && !all) {
        store_relaxed(&self->pause, pause - 1);
        return false;
    }
    return exchange_relaxed(&self->restless, 0) != 0;
}

static void visit_buckets(struct central *self, struct visit *visit)
{
    for (unsigned i = SHARDS * BUCKETS; i-- > 0;) // from the last bucket on, to which those from others go
        visit_bucket(visit, self, &self->shards[i / BUCKETS].buckets[i % BUCKETS]);
}

static void visit_spans(struct central *self, bool all)
{
    struct visit visit = {.all = all, .rests = RESTS, .bytes = UINT64_MAX};
    if (!visit_is_due(self, all))
        return;
    visit_buckets(self, &visit);
    store_relaxed(&self->pause, visit.visited / VISITS_PER_PERIOD);
}

static void shed(struct central *self, unsigned cls, bool all)
{
    for (unsigned i = 0; i < SHARDS; i++)
        trim_shard(&self->shards[i], cls, all);
    if (load_relaxed(&self->empty) > 0)
        sweep(self);
}

void central_shed(unsigned cls)
{
    if (is_used(cls))
        shed(&centrals[cls], cls, false);
}

bool central_notes_growth(void)
{
    uint64_t now = limit_charged(), before = load_relaxed(&calm_bytes);
    bool grown = now > before + max_size(GROWTH_LEAST, before / GROWTH_SHARE);
    if (grown || now < before)
        store_relaxed(&calm_bytes, now);
    return grown;
}

void central_trim(unsigned cls, bool all)
{
    if (!is_used(cls))
        return;
    shed(&centrals[cls], cls, all);
    visit_spans(&centrals[cls], all);
}

static uint64_t free_bytes(struct central *self, unsigned cls)
{
    int64_t slots = (int64_t)(central_spans(cls) * size_class_table[cls].slots),
            out = load_relaxed(&self->out);
    return out < slots ? (uint64_t)(slots - out) * size_class_size(cls) : 0;
}

// What lies in pages of the kernel's without a slot in use, if chance has chosen which are.
static uint64_t spare_bytes(struct central *self, unsigned cls)
{
    size_t size = size_class_size(cls), neighbours = os_page_size() / size + 1;
    uint64_t bytes = central_spans(cls) * size_class_table[cls].slots * size;
    uint64_t part = free_bytes(self, cls) * WHOLE / max_size(1, bytes);
    for (size_t i = 0; i < neighbours && bytes != 0; i++)
        bytes = bytes * part / WHOLE;
    return bytes;
}

static bool is_worth_a_search(struct central *self, unsigned cls)
{
    uint64_t heap = limit_charged();
    return is_used(cls) && (free_bytes(self, cls) >= heap / CONTAINED_SHARE ||
                            spare_bytes(self, cls) >= SPARE_LEAST + heap / SPARE_SHARE);
}

void central_contain(uint64_t bytes)
{
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT && bytes > 0; cls++) {
        struct visit visit = {.rests = UINT_MAX, .bytes = bytes};
        if (!is_worth_a_search(&centrals[cls], cls) || !visit_is_due(&centrals[cls], true))
            continue;
        visit_buckets(&centrals[cls], &visit);
        bytes = visit.bytes;
    }
}

bool central_decay(void)
{
    struct decay_phases due = decay_clock_take(&decay_clock);
    for (unsigned cls = 1; due.n != 0 && cls < SIZE_CLASS_COUNT; cls++)
        if ((cls - due.first) % DECAY_PHASES < due.n)
            central_trim(cls, false);
    page_heap_decay();
    bool period_is_over = (due.first + due.n) / DECAY_PHASES != due.first / DECAY_PHASES;
    if (period_is_over)
        limit_end_period();
    return period_is_over;
}

static bool class_is_settled(struct central *self)
{
    for (unsigned i = 0; i < SHARDS; i++)
        if (batch_depth(&self->shards[i].full) != 0)
            return false;
    return load_relaxed(&self->empty) <= 0 && load_relaxed(&self->restless) == 0;
}

bool central_is_settled(void)
{
    uint64_t used = load_relaxed(&used_classes);
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++)
        if ((used >> cls & 1) != 0 && !class_is_settled(&centrals[cls]))
            return false;
    return page_heap_is_settled();
}

struct central_counts central_counts(unsigned cls)
{
    struct central *self = &centrals[cls];
    if (!is_used(cls))
        return (struct central_counts){0};
    struct central_counts counts = {.spans_made = load_relaxed(&self->spans_made),
                                    .spans_retired = load_relaxed(&self->spans_retired),
                                    .rested_bytes = load_relaxed(&self->rested_bytes)};
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *shard = &self->shards[i];
        counts.batch_objects += batch_objects_shared(&shard->full);
        counts.batches_in += load_relaxed(&shard->batches_in);
        counts.batches_out += load_relaxed(&shard->batches_out);
    }
    return counts;
}

static bool bucket_validate(atomic_u64 *bucket, int64_t *listed, int64_t *empty)
{
    for (uint32_t link = (uint32_t)load_acquire(bucket); link != 0; ++*listed) {
        struct span *span = linked(link);
        span_state state = {load_relaxed(&span->state)};
        if (span_state_mode(state) != SPAN_LISTED || span_state_free(state) <= 0)
            return false;
        if (counts_are_exact && !span_validate(span))
            return false;
        *empty += span_state_free(state) == span->slots;
        link = load_relaxed(&span->next);
    }
    return true;
}

static bool count_batch(void *batches, struct batch *batch)
{
    ++*(unsigned *)batches;
    return batch_count(batch) <= BATCH_SLOTS;
}

static bool shard_validate(struct shard *self, int64_t *listed, int64_t *empty)
{
    unsigned batches = 0;
    for (unsigned b = 0; b < BUCKETS; b++)
        if (!bucket_validate(&self->buckets[b], listed, empty))
            return false;
    return batch_visit(&self->full, count_batch, &batches) && batches == batch_depth(&self->full);
}

bool central_validate(unsigned cls)
{
    struct central *self = &centrals[cls];
    int64_t listed = 0, empty = 0;
    for (unsigned i = 0; i < SHARDS; i++)
        if (!shard_validate(&self->shards[i], &listed, &empty))
            return false;
    return !counts_are_exact ||
           (listed == load_relaxed(&self->listed) && empty == load_relaxed(&self->empty) &&
            (central_spans(cls) != 0 || load_relaxed(&self->draining) == 0));
}
