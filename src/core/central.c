// SPDX-License-Identifier: MIT
#include "core/central.h"

#include "buddy/page_heap.h"
#include "core/bits.h"
#include "core/misuse.h"
#include "core/page_map.h"

// Spans with free slots lie in buckets by how full they are; allocation takes from the fullest, so that
// sparse ones drain and go home. A listed span's place grows stale as slots come back: whoever takes it puts
// it where it belongs.
#define BUCKETS 4
#define RELOCATIONS 8 // how many stale places one search mends
// Full batches of one class hold at most about this many bytes.
#define PARKED_BYTES ((size_t)1 << 20)
// Wholly free spans are swept out of the buckets when there are this many, and an eighth of all that are
// listed.
#define SWEEP_LEAST 4

struct central {
    _Alignas(CACHE_LINE) batch_stack full;
    atomic_u32 lowest_depth;                          // of `full` since the last trim; relaxed: a hint
    uint32_t parked_bound;                            // most batches in `full`; constant
    atomic_u64 batches_in, batches_out;               // relaxed, counted roughly
    _Alignas(CACHE_LINE) atomic_u64 buckets[BUCKETS]; // tag << 32 | page number of the top span
    // Relaxed: these only count. `empty` may be off for the moment between a step and its counting.
    _Alignas(CACHE_LINE) atomic_i64 listed, empty;
    atomic_u64 spans_made, spans_retired;
};

static struct central centrals[SIZE_CLASS_COUNT];

// In a child of fork the steps of threads that vanished may be counted by half; what they held stays out of
// reach.
static bool counts_are_exact = true;

void central_after_fork(void) { counts_are_exact = false; }

static unsigned bound_of(unsigned cls)
{
    size_t batch_bytes = size_class_size(cls) * size_class_table[cls].batch;
    return (unsigned)max_size(2, min_size(BATCH_STACK_DEEPEST, PARKED_BYTES / max_size(batch_bytes, 1)));
}

void central_init(void)
{
    for (unsigned cls = 0; cls < SIZE_CLASS_COUNT; cls++) {
        centrals[cls].parked_bound = bound_of(cls);
        for (unsigned b = 0; b < BUCKETS; b++)
            store_relaxed(&centrals[cls].buckets[b], NO_SPAN);
    }
}

// --- Full batches.

// A statistic beside the word that was just exchanged, without an exchange of its own: it may miss one.
static void count_roughly(atomic_u64 *count) { store_relaxed(count, load_relaxed(count) + 1); }

static struct batch *pop_counted(struct central *self)
{
    struct batch *batch = batch_pop(&self->full);
    if (batch != NULL) {
        unsigned depth = batch_depth(&self->full);
        if (depth < load_relaxed(&self->lowest_depth))
            store_relaxed(&self->lowest_depth, depth);
    }
    return batch;
}

struct batch *central_pop_batch(unsigned cls)
{
    struct central *self = &centrals[cls];
    struct batch *batch = pop_counted(self);
    if (batch != NULL)
        count_roughly(&self->batches_out);
    return batch;
}

bool central_push_batch(unsigned cls, struct batch *batch)
{
    struct central *self = &centrals[cls];
    if (!batch_push(&self->full, batch, self->parked_bound))
        return false;
    count_roughly(&self->batches_in);
    return true;
}

// --- Buckets: stacks of spans, linked by page numbers through type-stable descriptors.

static unsigned bucket_of(int64_t free, size_t slots)
{
    int64_t part = free * BUCKETS / (int64_t)(slots + 1);
    return part < 0 ? 0 : (unsigned)part;
}

static uint64_t bucket_word(uint64_t before, uint32_t page) { return ((before >> 32) + 1) << 32 | page; }

static void bucket_push(atomic_u64 *bucket, struct span *span)
{
    uint64_t before = load_relaxed(bucket);
    do
        store_relaxed(&span->next, (uint32_t)before);
    while (!cas_weak_acq_rel(bucket, &before, bucket_word(before, span->first.n)));
}

// Whoever gets a span off a bucket is its holder.
static struct span *bucket_pop(atomic_u64 *bucket)
{
    uint64_t before = load_acquire(bucket); // pairs with bucket_push, for the link below
    while ((uint32_t)before != NO_SPAN) {
        struct span *top = span_at((page_id){(uint32_t)before});
        uint32_t below = load_relaxed(&top->next); // if somebody popped `top`, the tag tells
        if (cas_weak_acq_rel(bucket, &before, bucket_word(before, below)))
            return top;
    }
    return NULL;
}

static void list_span(struct central *self, struct span *span)
{
    fetch_add_relaxed(&self->listed, 1);
    bucket_push(&self->buckets[bucket_of(span_free(span), span->slots)], span);
}

static void hold_popped(struct central *self, struct span *span)
{
    fetch_sub_relaxed(&self->listed, 1);
    if (span_hold(span) == SPAN_NOTE_NOT_EMPTY)
        fetch_sub_relaxed(&self->empty, 1);
}

static void retire(struct central *self, struct span *span)
{
    fetch_add_relaxed(&self->spans_retired, 1);
    page_map_set(span->first, load_relaxed(&span->pages), 0);
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

static struct span *hold_from_bucket(struct central *self, unsigned bucket, unsigned *relocations)
{
    struct span *span;
    while ((span = bucket_pop(&self->buckets[bucket])) != NULL) {
        hold_popped(self, span);
        if (bucket_of(span_free(span), span->slots) <= bucket || *relocations == 0)
            return span;
        --*relocations;
        central_release(span);
    }
    return NULL;
}

// A held span with free slots from the fullest bucket that has one, or NULL.
static struct span *hold_listed(struct central *self)
{
    unsigned relocations = RELOCATIONS;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        struct span *span = hold_from_bucket(self, bucket, &relocations);
        if (span != NULL)
            return span;
    }
    return NULL;
}

static struct span *make_span(struct central *self, unsigned cls, uint32_t home)
{
    struct page_block block = page_heap_take(size_class_table[cls].pages, PAGE_SIZE);
    if (block.first.n == NO_PAGE.n)
        return NULL;
    fetch_add_relaxed(&self->spans_made, 1);
    return span_make_small(block.first, cls, home);
}

static struct span *hold_any(unsigned cls, uint32_t home)
{
    struct span *span = hold_listed(&centrals[cls]);
    return span != NULL ? span : make_span(&centrals[cls], cls, home);
}

// A span that is listed or kept has a count above zero, and its bits are never behind its count: something is
// taken.
size_t central_take(unsigned cls, void **out, size_t n, uint32_t home, struct span **held)
{
    struct span *span = held != NULL ? *held : NULL;
    if (span == NULL) {
        span = hold_any(cls, home);
        if (span == NULL)
            return 0;
        if (held != NULL)
            span_set_home(span, home);
    }
    size_t taken = span_take(span, out, n);
    bool keep = held != NULL && span_free(span) > 0;
    if (!keep)
        central_release(span);
    if (held != NULL)
        *held = keep ? span : NULL;
    return taken;
}

// --- Giving back.

// Detaches a whole bucket and puts its spans where they belong now; wholly free ones go home.
static void sweep_bucket(struct central *self, atomic_u64 *bucket)
{
    uint64_t before = load_acquire(bucket); // pairs with bucket_push
    while (!cas_weak_acq_rel(bucket, &before, bucket_word(before, NO_SPAN)))
        continue;
    for (uint32_t page = (uint32_t)before; page != NO_SPAN;) {
        struct span *span = span_at((page_id){page});
        page = load_relaxed(&span->next);
        hold_popped(self, span);
        central_release(span);
    }
}

static void sweep(struct central *self)
{
    for (unsigned b = 0; b < BUCKETS; b++)
        sweep_bucket(self, &self->buckets[b]);
}

static void note_empty(struct central *self)
{
    int64_t empty = fetch_add_relaxed(&self->empty, 1) + 1;
    if (empty >= SWEEP_LEAST && empty * 8 >= load_relaxed(&self->listed))
        sweep(self);
}

static void count_given(struct central *self, struct span *span, unsigned n)
{
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
}

// Objects that lie close together are given back together: one step per bitmap word, and one count per span.
struct give_run {
    struct span *span;
    size_t word;
    uint64_t mask;    // of `word`, not given yet
    unsigned counted; // given, not counted yet
};

static void *slot_address(const struct span *span, size_t slot)
{
    return (void *)(span_start(span) + slot * (uintptr_t)span->size);
}

static void end_word(struct give_run *run)
{
    if (run->mask == 0)
        return;
    uint64_t twice = span_give_bits(run->span, run->word, run->mask) & run->mask;
    if (unlikely(twice != 0))
        misuse_double_free(slot_address(run->span, run->word * 64 + bits_lowest(twice)));
    run->counted += bits_count(run->mask);
    run->mask = 0;
}

static void end_span(struct give_run *run, struct central *self)
{
    end_word(run);
    if (run->counted != 0)
        count_given(self, run->span, run->counted);
    run->counted = 0;
}

static struct span *checked_span(unsigned cls, void *p)
{
    page_id page = page_of(p);
    uint32_t entry = page_entry(page);
    if (unlikely(entry_class(entry) != cls || !entry_is_small(entry)))
        misuse_double_free(p); // its span went home: somebody else gave the object back before
    return span_of_page(page);
}

static size_t checked_slot(const struct span *span, void *p)
{
    size_t slot = span_slot_of(span->cls, p, span_start(span));
    if (unlikely(slot == SIZE_MAX))
        misuse_interior("free", p,
                        slot_address(span, size_class_slot(span->cls, (uintptr_t)p - span_start(span))));
    return slot;
}

static void give_one(struct give_run *run, struct central *self, unsigned cls, void *p)
{
    struct span *span = checked_span(cls, p);
    size_t slot = checked_slot(span, p);
    if (span != run->span)
        end_span(run, self);
    else if (slot / 64 != run->word)
        end_word(run);
    run->span = span;
    run->word = slot / 64;
    uint64_t bit = UINT64_C(1) << (slot % 64);
    if (unlikely((run->mask & bit) != 0))
        misuse_double_free(p);
    run->mask |= bit;
}

void central_give(unsigned cls, void **objects, size_t n)
{
    struct central *self = &centrals[cls];
    struct give_run run = {0};
    for (size_t i = 0; i < n; i++)
        give_one(&run, self, cls, objects[i]);
    end_span(&run, self);
}

// --- Trimming, counting, checking.

static void give_batches(struct central *self, unsigned cls, unsigned n)
{
    struct batch *batch;
    while (n-- > 0 && (batch = pop_counted(self)) != NULL) {
        central_give(cls, batch->objects, batch_count(batch));
        batch_recycle(batch);
    }
}

void central_trim(unsigned cls, bool all)
{
    struct central *self = &centrals[cls];
    unsigned depth = batch_depth(&self->full);
    unsigned unused = exchange_relaxed(&self->lowest_depth, depth);
    give_batches(self, cls, all ? BATCH_STACK_DEEPEST : (unsigned)min_size(unused, depth));
    if (load_relaxed(&self->empty) > 0)
        sweep(self);
}

struct central_counts central_counts(unsigned cls)
{
    struct central *self = &centrals[cls];
    return (struct central_counts){.batch_objects = batch_objects_shared(&self->full),
                                   .batches_in = load_relaxed(&self->batches_in),
                                   .batches_out = load_relaxed(&self->batches_out),
                                   .spans_made = load_relaxed(&self->spans_made),
                                   .spans_retired = load_relaxed(&self->spans_retired)};
}

static bool bucket_validate(struct central *self, unsigned bucket, int64_t *listed, int64_t *empty)
{
    for (uint32_t page = (uint32_t)load_acquire(&self->buckets[bucket]); page != NO_SPAN; ++*listed) {
        struct span *span = span_at((page_id){page});
        span_state state = {load_relaxed(&span->state)};
        if (span_state_mode(state) != SPAN_LISTED || span_state_free(state) <= 0)
            return false;
        if (counts_are_exact && !span_validate(span))
            return false;
        *empty += span_state_free(state) == span->slots;
        page = load_relaxed(&span->next);
    }
    return true;
}

static bool count_batch(void *batches, struct batch *batch)
{
    ++*(unsigned *)batches;
    return batch_count(batch) <= BATCH_SLOTS;
}

bool central_validate(unsigned cls)
{
    struct central *self = &centrals[cls];
    int64_t listed = 0, empty = 0;
    unsigned batches = 0;
    for (unsigned b = 0; b < BUCKETS; b++)
        if (!bucket_validate(self, b, &listed, &empty))
            return false;
    if (!batch_visit(&self->full, count_batch, &batches) || batches != batch_depth(&self->full))
        return false;
    return !counts_are_exact ||
           (listed == load_relaxed(&self->listed) && empty == load_relaxed(&self->empty));
}
