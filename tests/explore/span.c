// SPDX-License-Identifier: MIT
// A span's bits and state: its holder takes and releases while two others give. Exactly one of the steps
// lists it, and what the state counts is there.
#include "slots.h"

static struct span *span;
static struct slots slots[3];
static unsigned listed, empties;
static bool holds; // the holder still does

static void start(void)
{
    void *objects[SPAN_SLOTS];
    struct page_block block = page_heap_take(size_class_table[SLOT_CLASS].pages, PAGE_SIZE);
    span = span_make_small(block.first, SLOT_CLASS, 1);
    explore_check(span_take(span, objects, SPAN_SLOTS) == SPAN_SLOTS);
    for (unsigned i = 0; i < SPAN_SLOTS; i++)
        slots_add(&slots[i < 4 ? 1 : 2], objects[i], i < 4 ? 1 : 2);
    listed = empties = 0;
    holds = true;
}

static void do_duty(enum span_duty duty)
{
    listed += duty == SPAN_LIST || duty == SPAN_LIST_EMPTY;
    empties += duty == SPAN_LIST_EMPTY || duty == SPAN_NOTE_EMPTY;
    explore_check(listed <= 1);
}

static void give(unsigned me, unsigned n)
{
    void **objects = slots_drop(&slots[me], n, me);
    for (unsigned i = 0; i < n; i++) {
        uint64_t bit = UINT64_C(1) << span_slot_of(SLOT_CLASS, objects[i], span_start(span));
        explore_check((span_give_bits(span, 0, bit) & bit) == 0);
    }
    do_duty(span_count_given(span, n));
}

static void hold_and_take(void)
{
    void *objects[SPAN_SLOTS];
    for (unsigned i = 0; i < 2; i++) {
        size_t n = span_take(span, objects, 3);
        for (size_t j = 0; j < n; j++)
            slots_add(&slots[0], objects[j], 3);
        explore_check(span_free(span) <= (int64_t)(SPAN_SLOTS - slots[0].n));
    }
    holds = false;
    enum span_duty duty = span_release(span);
    if (duty == SPAN_RETIRE) {
        explore_check(slots[0].n + slots[1].n + slots[2].n == 0 && span_free(span) == SPAN_SLOTS);
        holds = true;
    }
    do_duty(duty);
}

static void thread(unsigned me)
{
    if (me == 0) {
        hold_and_take();
        return;
    }
    give(me, 3);
    give(me, 1);
}

static void finish(void)
{
    explore_check(span_validate(span));
    explore_check(span_free(span) == (int64_t)(SPAN_SLOTS - slots[0].n));
    explore_check(empties == (listed == 1 && slots[0].n == 0));
    if (!holds) {
        explore_check(listed == (span_free(span) > 0));
        if (listed == 1)
            explore_check(span_hold(span) == (slots[0].n == 0 ? SPAN_NOTE_NOT_EMPTY : SPAN_NOTHING));
    }
    slots_drop(&slots[0], slots[0].n, 3);
    page_map_set(span->first, load_relaxed(&span->pages), 0);
    page_heap_give(span->first, load_relaxed(&span->pages));
}

int main(int argc, char **argv)
{
    static const struct explore_scenario scenario = {.name = "span",
                                                     .threads = 3,
                                                     .preemptions = 3,
                                                     .randoms = 5000,
                                                     .prepare = slots_prepare,
                                                     .start = start,
                                                     .thread = thread,
                                                     .finish = finish};
    return explore_main(&scenario, argc, argv);
}
