// SPDX-License-Identifier: MIT
#include "core/span.h"

#include "../support/dies.h"
#include "buddy/page_heap.h"
#include "core/bits.h"
#include "core/init.h"
#include "core/page_map.h"
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

// --- The pure steps, for every state of small spans.

static void expect_step(struct span_step step, enum span_mode mode, int64_t free, const char *what)
{
    cr_assert_eq(span_state_mode(step.after), mode, "%s: mode %d", what, (int)span_state_mode(step.after));
    cr_assert_eq(span_state_free(step.after), free, "%s: free %lld", what,
                 (long long)span_state_free(step.after));
}

Test(span, state_keeps_mode_and_count_apart)
{
    for (int mode = SPAN_HELD; mode <= SPAN_FULL; mode++)
        for (int64_t free = -SIZE_CLASS_SLOTS_MAX; free <= SIZE_CLASS_SLOTS_MAX; free++) {
            span_state state = span_state_make((enum span_mode)mode, free);
            cr_assert_eq((int)span_state_mode(state), mode);
            cr_assert_eq(span_state_free(state), free);
        }
}

Test(span, giving_counts_in_every_mode)
{
    for (int64_t slots = 1; slots <= 5; slots++)
        for (int64_t free = -slots; free < slots; free++)
            for (int64_t n = 1; free + n <= slots; n++) {
                struct span_step held = span_step_give(span_state_make(SPAN_HELD, free), n, slots);
                expect_step(held, SPAN_HELD, free + n, "give to a held span");
                cr_assert_eq(held.duty, SPAN_NOTHING);
                struct span_step listed = span_step_give(span_state_make(SPAN_LISTED, free), n, slots);
                expect_step(listed, SPAN_LISTED, free + n, "give to a listed span");
                cr_assert_eq(listed.duty, free + n == slots ? SPAN_NOTE_EMPTY : SPAN_NOTHING);
            }
}

Test(span, giving_to_a_full_span_lists_it_once_something_is_free)
{
    for (int64_t slots = 2; slots <= 5; slots++)
        for (int64_t free = -slots; free <= 0; free++)
            for (int64_t n = 1; free + n < slots; n++) {
                struct span_step step = span_step_give(span_state_make(SPAN_FULL, free), n, slots);
                expect_step(step, free + n > 0 ? SPAN_LISTED : SPAN_FULL, free + n, "give to a full span");
                cr_assert_eq(step.duty, free + n > 0 ? SPAN_LIST : SPAN_NOTHING);
            }
}

Test(span, a_full_span_that_becomes_empty_at_once_is_not_merely_listed)
{
    for (int64_t slots = 1; slots <= 5; slots++) {
        struct span_step step = span_step_give(span_state_make(SPAN_FULL, 0), slots, slots);
        cr_assert_eq(span_state_free(step.after), slots);
        cr_assert_neq(step.duty, SPAN_LIST);
        cr_assert_neq(step.duty, SPAN_NOTHING);
    }
}

Test(span, taking_may_run_ahead_of_the_count)
{
    for (int64_t free = -3; free <= 5; free++)
        for (int64_t n = 1; n <= 5; n++) {
            struct span_step step = span_step_take(span_state_make(SPAN_HELD, free), n);
            expect_step(step, SPAN_HELD, free - n, "take");
            cr_assert_eq(step.duty, SPAN_NOTHING);
        }
}

Test(span, holding_tells_whether_the_span_was_empty)
{
    for (int64_t slots = 1; slots <= 5; slots++)
        for (int64_t free = 1; free <= slots; free++) {
            struct span_step step = span_step_hold(span_state_make(SPAN_LISTED, free), slots);
            expect_step(step, SPAN_HELD, free, "hold");
            cr_assert_eq(step.duty, free == slots ? SPAN_NOTE_NOT_EMPTY : SPAN_NOTHING);
        }
}

Test(span, releasing_retires_lists_or_leaves)
{
    for (int64_t slots = 1; slots <= 5; slots++)
        for (int64_t free = -slots; free <= slots; free++) {
            struct span_step step = span_step_release(span_state_make(SPAN_HELD, free), slots);
            if (free == slots)
                cr_assert_eq(step.duty, SPAN_RETIRE);
            else if (free > 0)
                cr_assert(step.duty == SPAN_LIST && span_state_mode(step.after) == SPAN_LISTED);
            else
                cr_assert(step.duty == SPAN_NOTHING && span_state_mode(step.after) == SPAN_FULL);
            cr_assert_eq(span_state_free(step.after), free);
        }
}

// --- All interleavings of two and three threads on one span. Each atomic access is a step of its own; what a
// thread does with the outcome of its step comes later, like in the central pool.

enum place {
    IDLE,
    GAVE_BITS,
    TO_LIST,
    TO_LIST_EMPTY,
    TO_NOTE,
    POPPED,
    TO_UNNOTE,
    HOLDING,
    TOOK_BITS,
    TO_RETIRE
};

struct actor {
    enum place place;
    unsigned owned;   // slots it may give back
    unsigned pending; // slots whose bits it changed and did not count yet
    unsigned budget;  // operations it may still begin
};

struct model {
    span_state state;
    unsigned bits;
    int in_bucket, empty;
    bool retired;
    struct actor actors[3];
};

enum { MODEL_SEEN = 1 << 24 };

static struct {
    unsigned slots, actors;
    uint64_t *seen;
    size_t states, retirements, quiet;
} explored;

static unsigned all_slots(void) { return (1u << explored.slots) - 1; }

static uint64_t model_key(const struct model *m)
{
    uint64_t key = (uint64_t)span_state_mode(m->state);
    key = key << 4 | (uint64_t)(span_state_free(m->state) + 8);
    key = key << 3 | m->bits;
    key = key << 1 | (uint64_t)m->in_bucket;
    key = key << 1 | m->retired;
    key = key << 4 | (uint64_t)(m->empty + 8);
    for (unsigned i = 0; i < explored.actors; i++) {
        const struct actor *a = &m->actors[i];
        key = key << 13 | (uint64_t)a->place << 9 | a->owned << 6 | a->pending << 3 | a->budget;
    }
    return key + 1;
}

static bool seen_before(const struct model *m)
{
    uint64_t key = model_key(m);
    for (size_t i = (key * UINT64_C(0x9e3779b97f4a7c15)) >> 40;; i = (i + 1) % MODEL_SEEN) {
        if (explored.seen[i] == key)
            return true;
        if (explored.seen[i] == 0) {
            explored.seen[i] = key;
            cr_assert_lt(++explored.states, MODEL_SEEN / 2);
            return false;
        }
    }
}

static unsigned count_at(const struct model *m, enum place place)
{
    unsigned n = 0;
    for (unsigned i = 0; i < explored.actors; i++)
        n += m->actors[i].place == place;
    return n;
}

static void check_slots(const struct model *m)
{
    unsigned together = m->bits;
    int64_t counted = bits_count(m->bits);
    for (unsigned i = 0; i < explored.actors; i++) {
        const struct actor *a = &m->actors[i];
        cr_assert_eq(together & a->owned, 0u, "a slot is in two hands");
        together |= a->owned;
        counted += a->place == TOOK_BITS ? bits_count(a->pending) : 0;
        counted -= a->place == GAVE_BITS ? bits_count(a->pending) : 0;
    }
    cr_assert_eq(together, all_slots(), "a slot is lost");
    cr_assert_eq(counted, span_state_free(m->state));
}

static void check_place(const struct model *m)
{
    unsigned holders =
        count_at(m, TO_UNNOTE) + count_at(m, HOLDING) + count_at(m, TOOK_BITS) + count_at(m, TO_RETIRE);
    unsigned listings =
        (unsigned)m->in_bucket + count_at(m, TO_LIST) + count_at(m, TO_LIST_EMPTY) + count_at(m, POPPED);
    enum span_mode mode = span_state_mode(m->state);
    cr_assert_eq(holders, mode == SPAN_HELD && !m->retired ? 1u : 0u, "mode %d", (int)mode);
    cr_assert_eq(listings, mode == SPAN_LISTED ? 1u : 0u, "mode %d", (int)mode);
    if (m->retired)
        cr_assert(m->bits == all_slots() && count_at(m, GAVE_BITS) == 0, "retired while in use");
}

static void check_quiet(const struct model *m)
{
    if (count_at(m, IDLE) != explored.actors)
        return;
    enum span_mode mode = span_state_mode(m->state);
    explored.quiet++;
    cr_assert_eq(m->empty, mode == SPAN_LISTED && m->bits == all_slots() ? 1 : 0);
    if (!m->retired)
        cr_assert_eq(mode == SPAN_FULL, m->bits == 0, "a full span has free slots that nobody finds");
}

static enum place after_step(struct model *m, struct span_step step, enum place otherwise)
{
    m->state = step.after;
    switch (step.duty) {
    case SPAN_NOTHING:
        return otherwise;
    case SPAN_LIST:
        return TO_LIST;
    case SPAN_NOTE_EMPTY:
        return TO_NOTE;
    case SPAN_NOTE_NOT_EMPTY:
        return TO_UNNOTE;
    case SPAN_RETIRE:
        return TO_RETIRE;
    default:
        return TO_LIST_EMPTY;
    }
}

static unsigned lowest_slot(unsigned mask) { return mask & (0u - mask); }

// Changes the bits; the pending count is the step after. One slot or all.
static bool begin_give(struct model *m, struct actor *a, unsigned mask)
{
    if (mask == 0 || a->budget == 0)
        return false;
    cr_assert_eq(m->bits & mask, 0u);
    a->budget--;
    m->bits |= mask;
    a->owned &= ~mask;
    a->pending = mask;
    a->place = GAVE_BITS;
    return true;
}

static bool begin_take(struct model *m, struct actor *a, unsigned mask)
{
    if (mask == 0 || a->budget == 0)
        return false;
    a->budget--;
    m->bits &= ~mask;
    a->owned |= mask;
    a->pending = mask;
    a->place = TOOK_BITS;
    return true;
}

static bool begin_pop(struct model *m, struct actor *a)
{
    if (!m->in_bucket || a->budget == 0)
        return false;
    a->budget--;
    m->in_bucket = 0;
    a->place = POPPED;
    return true;
}

// Objects wander to another thread.
static bool hand_over(struct model *m, struct actor *a, unsigned other)
{
    struct actor *to = &m->actors[other];
    if (other >= explored.actors || to == a || a->owned == 0 || a->budget == 0)
        return false;
    a->budget--;
    to->owned |= a->owned;
    a->owned = 0;
    return true;
}

static bool step_idle(struct model *m, struct actor *a, unsigned choice)
{
    switch (choice) {
    case 0:
        return begin_give(m, a, a->owned);
    case 1:
        return lowest_slot(a->owned) != a->owned && begin_give(m, a, lowest_slot(a->owned));
    case 2:
        return begin_pop(m, a);
    default:
        return hand_over(m, a, choice - 3);
    }
}

static bool step_holding(struct model *m, struct actor *a, unsigned choice)
{
    switch (choice) {
    case 0:
        a->place = after_step(m, span_step_release(m->state, explored.slots), IDLE);
        return true;
    case 1:
        return begin_take(m, a, m->bits);
    case 2:
        return lowest_slot(m->bits) != m->bits && begin_take(m, a, lowest_slot(m->bits));
    default:
        return false;
    }
}

static void step_duty(struct model *m, struct actor *a)
{
    switch (a->place) {
    case TO_LIST:
    case TO_LIST_EMPTY:
        cr_assert(!m->in_bucket && !m->retired, "listed twice, or after its end");
        m->in_bucket = 1;
        a->place = a->place == TO_LIST ? IDLE : TO_NOTE;
        break;
    case TO_NOTE:
        m->empty++;
        a->place = IDLE;
        break;
    case TO_UNNOTE:
        m->empty--;
        a->place = HOLDING;
        break;
    default:
        explored.retirements++;
        m->retired = true;
        a->place = IDLE;
    }
}

// False when the actor has no such choice.
static bool model_step(struct model *m, struct actor *a, unsigned choice)
{
    if (a->place == IDLE)
        return step_idle(m, a, choice);
    if (a->place == HOLDING)
        return step_holding(m, a, choice);
    if (choice != 0)
        return false;
    if (a->place == GAVE_BITS || a->place == TOOK_BITS) {
        bool gave = a->place == GAVE_BITS;
        unsigned n = bits_count(a->pending);
        a->pending = 0;
        a->place = gave ? after_step(m, span_step_give(m->state, n, explored.slots), IDLE)
                        : after_step(m, span_step_take(m->state, n), HOLDING);
    } else if (a->place == POPPED) {
        a->place = after_step(m, span_step_hold(m->state, explored.slots), HOLDING);
    } else {
        step_duty(m, a);
    }
    return true;
}

static void explore(const struct model *m)
{
    if (seen_before(m))
        return;
    check_slots(m);
    check_place(m);
    check_quiet(m);
    for (unsigned i = 0; i < explored.actors; i++)
        for (unsigned choice = 0; choice < 6; choice++) {
            struct model next = *m;
            if (model_step(&next, &next.actors[i], choice))
                explore(&next);
        }
}

static void explore_all(unsigned slots, unsigned actors, unsigned budget)
{
    explored.slots = slots;
    explored.actors = actors;
    explored.states = explored.retirements = explored.quiet = 0;
    explored.seen = calloc(MODEL_SEEN, sizeof *explored.seen);
    struct model m = {.state = span_state_make(SPAN_HELD, slots), .bits = all_slots()};
    for (unsigned i = 0; i < actors; i++)
        m.actors[i].budget = budget;
    m.actors[0].place = HOLDING; // the span's maker
    explore(&m);
    free(explored.seen);
    cr_assert_gt(explored.retirements, 0u);
    cr_assert_gt(explored.quiet, 0u);
}

Test(span, protocol_of_two_threads)
{
    for (unsigned slots = 1; slots <= 3; slots++)
        explore_all(slots, 2, 5);
}

Test(span, protocol_of_three_threads)
{
    for (unsigned slots = 1; slots <= 2; slots++)
        explore_all(slots, 3, 3);
}

// --- Real spans.

static struct span *new_span(unsigned cls)
{
    cr_assert(heap_start());
    struct page_block block = page_heap_take(size_class_table[cls].pages, PAGE_SIZE);
    cr_assert_neq(block.first.n, NO_PAGE.n);
    return span_make_small(block.first, cls, 7);
}

static void give_slots(struct span *span, uint64_t slots)
{
    cr_assert_eq(span_give_bits(span, 0, slots) & slots, 0u);
    span_count_given(span, (unsigned)bits_count(slots));
}

Test(span, a_span_is_due_to_rest_when_it_is_as_at_the_last_visit)
{
    struct span *span = new_span(22); // 32 slots
    void *out[32];
    cr_assert_eq(span_take(span, out, 32), 32u);
    give_slots(span, 0xffff);
    cr_assert_not(span_visit(span));
    give_slots(span, 0x10000);
    cr_assert(span_visit(span), "a few more do not count");
    cr_assert_eq(span_take(span, out, 1), 1u);
    cr_assert_not(span_visit(span), "it was taken from");
}

Test(span, a_resting_span_is_due_again_when_a_quarter_of_the_live_ones_went)
{
    struct span *span = new_span(22);
    void *out[32];
    cr_assert_eq(span_take(span, out, 32), 32u);
    give_slots(span, 0xffffff); // 8 are live
    span_rest(span);
    give_slots(span, 0x1000000);
    cr_assert_not(span_visit(span));
    cr_assert_not(span_visit(span), "7 are enough to stay at rest");
    give_slots(span, 0x2000000);
    cr_assert_not(span_visit(span));
    cr_assert(span_visit(span));
}

Test(span, every_page_of_a_new_span_tells_class_home_and_head)
{
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++) {
        struct span *span = new_span(cls);
        for (uint32_t i = 0; i < size_class_table[cls].pages; i++) {
            page_id page = {span->first.n + i};
            cr_assert_eq(entry_class(page_entry(page)), cls);
            cr_assert_eq(page_entry(page) >> PAGE_HOME_SHIFT, 7);
            cr_assert_eq(span_of_page(page), span);
        }
        cr_assert_eq(span_free(span), size_class_table[cls].slots);
        cr_assert(span_validate(span));
    }
}

static void expect_distinct_slots(struct span *span, void **objects, size_t n)
{
    bool *seen = calloc(span->slots, sizeof *seen);
    for (size_t i = 0; i < n; i++) {
        size_t slot = span_slot_of(span->cls, objects[i], span_start(span));
        cr_assert_lt(slot, span->slots);
        cr_assert_not(seen[slot]);
        seen[slot] = true;
    }
    free(seen);
}

Test(span, all_slots_come_out_once_and_go_back)
{
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++) {
        struct span *span = new_span(cls);
        void *objects[SIZE_CLASS_SLOTS_MAX + 1];
        size_t n = 0;
        for (size_t taken; (taken = span_take(span, objects + n, 7)) != 0;)
            n += taken;
        cr_assert_eq(n, size_class_table[cls].slots);
        expect_distinct_slots(span, objects, n);
        cr_assert(span_free(span) == 0 && span_validate(span));
        for (size_t i = 0; i < n; i++) {
            size_t slot = span_slot_of(span->cls, objects[i], span_start(span));
            cr_assert_eq(span_give_bits(span, slot / 64, UINT64_C(1) << slot % 64) >> slot % 64 & 1, 0u);
            span_count_given(span, 1);
        }
        cr_assert_eq(span_release(span), SPAN_RETIRE);
    }
}

Test(span, a_cache_that_pops_from_the_end_gets_the_lowest_address_first)
{
    struct span *span = new_span(4);
    void *objects[10];
    cr_assert_eq(span_take(span, objects, 10), 10u);
    for (size_t i = 1; i < 10; i++)
        cr_assert_eq((uintptr_t)objects[i], (uintptr_t)objects[i - 1] - span->size);
    cr_assert_eq(span_take(span, objects, 10), 10u);
    cr_assert_eq((uintptr_t)objects[9], span_start(span));
}

static size_t kernel_pages(uintptr_t first, size_t bytes)
{
    size_t page = os_page_size();
    return (align_up(first + bytes, page) - align_down(first, page)) / page;
}

Test(span, the_first_objects_reach_into_no_more_pages_than_at_the_start_of_the_span)
{
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++)
        for (size_t n = 1; n <= 4; n++) {
            struct span *span = new_span(cls);
            void *objects[4];
            size_t taken = span_take(span, objects, n);
            uintptr_t lowest = (uintptr_t)objects[taken - 1];
            cr_assert_leq(kernel_pages(lowest, taken * span->size),
                          kernel_pages(span_start(span), taken * span->size));
        }
}

// 64 sets of eight lines of 64 bytes, as processors have.
Test(span, the_objects_that_classes_use_first_fit_into_a_processors_cache)
{
    unsigned lines[64] = {0};
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++) {
        struct span *span = new_span(cls);
        void *object;
        cr_assert_eq(span_take(span, &object, 1), 1u);
        unsigned set = (uintptr_t)object / 64 % 64;
        if (span->size < 1024)
            cr_assert_leq(++lines[set], 4u, "class %u shares its set with %u others", cls, lines[set] - 1);
    }
}

Test(span, the_old_word_tells_what_was_free_before)
{
    struct span *span = new_span(1);
    void *objects[3];
    cr_assert_eq(span_take(span, objects, 3), 3u);
    size_t lowest = span_slot_of(span->cls, objects[2], span_start(span));
    cr_assert_eq(span_give_bits(span, 0, UINT64_C(5) << lowest) >> lowest & 5, 0u);
    cr_assert_eq(span_give_bits(span, 0, UINT64_C(7) << lowest) >> lowest & 7, 5u);
}

Test(span, only_starts_of_slots_are_slots)
{
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++) {
        struct span *span = new_span(cls);
        uintptr_t start = span_start(span);
        size_t size = size_class_size(cls);
        cr_assert_eq(span_slot_of(span->cls, (void *)(start + size), start), 1u);
        cr_assert_eq(span_slot_of(span->cls, (void *)(start + size + 8), start), SIZE_MAX);
        cr_assert_eq(span_slot_of(span->cls, (void *)(start + span->slots * size), start), SIZE_MAX);
    }
}

// --- One holder takes while others give.

enum { CROWD_GIVERS = 3, CROWD_ROUNDS = 3000 };

static struct {
    struct span *span;
    _Atomic(void *) places[64];
    _Atomic(bool) done;
} crowd;

static void *crowd_give(void *arg)
{
    for (unsigned i = (unsigned)(uintptr_t)arg; !atomic_load(&crowd.done); i++) {
        char *p = atomic_exchange(&crowd.places[i % 64], NULL);
        if (p == NULL)
            continue;
        cr_assert_eq(*p, 1);
        *p = 0;
        size_t slot = span_slot_of(crowd.span->cls, p, span_start(crowd.span));
        span_give_bits(crowd.span, slot / 64, UINT64_C(1) << slot % 64);
        span_count_given(crowd.span, 1);
    }
    return NULL;
}

static void crowd_put(char *p)
{
    cr_assert_eq(*p, 0);
    *p = 1;
    for (unsigned i = 0;; i++) {
        void *nothing = NULL;
        if (atomic_compare_exchange_strong(&crowd.places[i % 64], &nothing, p))
            return;
    }
}

Test(span, slots_stay_whole_while_others_give)
{
    pthread_t threads[CROWD_GIVERS];
    crowd.span = new_span(19);
    for (uintptr_t i = 0; i < CROWD_GIVERS; i++)
        pthread_create(&threads[i], NULL, crowd_give, (void *)(i * 21));
    for (int round = 0; round < CROWD_ROUNDS; round++) {
        void *objects[5];
        size_t n = span_take(crowd.span, objects, 5);
        for (size_t i = 0; i < n; i++)
            crowd_put(objects[i]);
    }
    atomic_store(&crowd.done, true);
    for (int i = 0; i < CROWD_GIVERS; i++)
        pthread_join(threads[i], NULL);
    int64_t outside = 0;
    for (int i = 0; i < 64; i++)
        outside += atomic_load(&crowd.places[i]) != NULL;
    cr_assert(span_validate(crowd.span));
    cr_assert_eq(span_free(crowd.span) + outside, crowd.span->slots);
}
