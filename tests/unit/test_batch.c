// SPDX-License-Identifier: MIT
#include "core/batch.h"

#include "core/init.h"
#include "core/os.h"
#include <criterion/criterion.h>
#include <pthread.h>

static batch_stack stack;

static void setup(void) { cr_assert(heap_start()); }
TestSuite(batch, .init = setup);

static struct batch *numbered(size_t n)
{
    struct batch *batch = batch_new();
    cr_assert_not_null(batch);
    cr_assert_eq(batch_count(batch), 0u);
    batch->objects[0] = (void *)n;
    batch_set_count(batch, 1);
    return batch;
}

Test(batch, last_in_first_out)
{
    for (size_t i = 1; i <= 100; i++) {
        cr_assert(batch_push(&stack, numbered(i), BATCH_STACK_DEEPEST));
        cr_assert_eq(batch_depth(&stack), i);
    }
    for (size_t i = 100; i >= 1; i--) {
        struct batch *batch = batch_pop(&stack);
        cr_assert_not_null(batch);
        cr_assert_eq(batch->objects[0], (void *)i);
        cr_assert_eq(batch_depth(&stack), i - 1);
    }
    cr_assert_null(batch_pop(&stack));
    cr_assert_eq(batch_depth(&stack), 0u);
}

Test(batch, a_full_stack_takes_no_more)
{
    for (unsigned bound = 0; bound <= 3; bound++) {
        batch_stack bounded = {0};
        for (unsigned i = 0; i < bound; i++)
            cr_assert(batch_push(&bounded, numbered(i), bound));
        struct batch *more = numbered(99);
        cr_assert_not(batch_push(&bounded, more, bound));
        cr_assert_eq(batch_depth(&bounded), bound);
        cr_assert_eq(batch_count(more), 1u);
    }
}

Test(batch, the_deepest_stack)
{
    for (unsigned i = 0; i < BATCH_STACK_DEEPEST; i++)
        cr_assert(batch_push(&stack, numbered(i), BATCH_STACK_DEEPEST));
    cr_assert_not(batch_push(&stack, numbered(0), BATCH_STACK_DEEPEST));
    cr_assert_eq(batch_depth(&stack), (unsigned)BATCH_STACK_DEEPEST);
    for (unsigned i = BATCH_STACK_DEEPEST; i-- > 0;)
        cr_assert_eq(batch_pop(&stack)->objects[0], (void *)(size_t)i);
}

// A step that was prepared against an older state must fail though the same batch is on top again.
Test(batch, the_word_never_repeats)
{
    struct batch *batch = numbered(1);
    uint64_t words[64];
    for (int i = 0; i < 64; i += 2) {
        batch_push(&stack, batch, 9);
        words[i] = load_relaxed(&stack.word);
        cr_assert_eq(batch_pop(&stack), batch);
        words[i + 1] = load_relaxed(&stack.word);
    }
    for (int i = 0; i < 64; i++)
        for (int k = 0; k < i; k++)
            cr_assert_neq(words[i], words[k]);
}

Test(batch, a_recycled_batch_is_used_again)
{
    struct batch *batch = numbered(5);
    batch_recycle(batch);
    struct batch *again = batch_new();
    cr_assert_eq(again, batch);
    cr_assert_eq(batch_count(again), 0u);
}

Test(batch, new_ones_are_distinct)
{
    enum { MANY = 1000 };
    static struct batch *batches[MANY];
    for (int i = 0; i < MANY; i++)
        batches[i] = numbered((size_t)i);
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(batches[i]->objects[0], (void *)(size_t)i);
}

Test(batch, without_memory_there_is_none)
{
    struct batch *batch = NULL;
    os_fail_nth(1);
    for (int i = 0; i < 100000 && (batch = batch_new()) != NULL; i++)
        continue;
    cr_assert_null(batch);
    cr_assert_not_null(batch_new());
}

static bool sum_up(void *sum, struct batch *batch)
{
    *(size_t *)sum += (size_t)batch->objects[0];
    return batch->objects[0] != (void *)3;
}

Test(batch, visiting_sees_all_and_stops_when_told)
{
    size_t sum = 0;
    cr_assert(batch_visit(&stack, sum_up, &sum));
    cr_assert_eq(sum, 0u);
    batch_push(&stack, numbered(1), 9);
    batch_push(&stack, numbered(2), 9);
    cr_assert(batch_visit(&stack, sum_up, &sum));
    cr_assert_eq(sum, 3u);
    batch_push(&stack, numbered(3), 9);
    cr_assert_not(batch_visit(&stack, sum_up, &sum));
    cr_assert_eq(sum, 6u);
}

// --- Many threads carry batches between two stacks and the pool of empty ones.

enum { CARRIERS = 4, CARRIED = 40, TRIPS = 20000 };

static batch_stack stacks[2];

static void *carry(void *arg)
{
    unsigned from = (unsigned)(uintptr_t)arg & 1;
    for (int i = 0; i < TRIPS; i++) {
        struct batch *batch = batch_pop(&stacks[from ^ (i & 1)]);
        if (batch == NULL)
            continue;
        cr_assert_eq(batch->objects[1], batch->objects[0]);
        batch->objects[1] = NULL;
        struct batch *other = batch_new();
        other->objects[0] = batch->objects[0];
        batch_recycle(batch);
        other->objects[1] = other->objects[0];
        batch_set_count(other, 2);
        cr_assert(batch_push(&stacks[i % 3 == 0], other, BATCH_STACK_DEEPEST));
    }
    return NULL;
}

static bool mark_seen(void *seen, struct batch *batch)
{
    size_t n = (size_t)batch->objects[0];
    return n < CARRIED && !((bool *)seen)[n] && (((bool *)seen)[n] = true);
}

Test(batch, nothing_is_lost_or_doubled_by_many_threads)
{
    pthread_t threads[CARRIERS];
    bool seen[CARRIED] = {false};
    for (size_t i = 0; i < CARRIED; i++) {
        struct batch *batch = numbered(i);
        batch->objects[1] = batch->objects[0];
        batch_push(&stacks[i & 1], batch, BATCH_STACK_DEEPEST);
    }
    for (uintptr_t i = 0; i < CARRIERS; i++)
        pthread_create(&threads[i], NULL, carry, (void *)i);
    for (int i = 0; i < CARRIERS; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(batch_depth(&stacks[0]) + batch_depth(&stacks[1]), (unsigned)CARRIED);
    cr_assert(batch_visit(&stacks[0], mark_seen, seen));
    cr_assert(batch_visit(&stacks[1], mark_seen, seen));
    for (size_t i = 0; i < CARRIED; i++)
        cr_assert(seen[i], "batch %zu is lost", i);
}
