// SPDX-License-Identifier: MIT
#include "core/defrag.h"

#include "../support/dies.h"
#include "core/alloc.h"
#include "core/central.h"
#include "core/os.h"
#include "core/survey.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 200, BLOCKS = 20000 };

static unsigned char *blocks[BLOCKS];
static size_t live, capacity, average;

static void fill(size_t i) { memset(blocks[i], (int)(i % 251), SIZE); }

static void make_all(void)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = alloc_fast(SIZE);
        fill(i);
    }
}

// Keeps one in `n`.
static void thin_out(size_t n)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        if (i % n == 0)
            continue;
        alloc_free_fast(blocks[i]);
        blocks[i] = NULL;
    }
    alloc_collect();
}

static size_t spans(void)
{
    struct central_counts counts = central_counts(size_class_of(SIZE));
    return counts.spans_made - counts.spans_retired;
}

static size_t relocate_all(void)
{
    size_t moved = 0;
    for (size_t i = 0; i < BLOCKS; i++) {
        unsigned char *p = defrag_relocate(blocks[i]);
        moved += p != blocks[i];
        blocks[i] = p;
    }
    alloc_collect();
    return moved;
}

static void expect_content(void)
{
    for (size_t i = 0; i < BLOCKS; i++)
        for (size_t at = 0; blocks[i] != NULL && at < SIZE; at++)
            cr_assert_eq(blocks[i][at], i % 251);
    cr_assert(survey_validate());
}

Test(defrag, utilization_counts_the_slots_of_the_span)
{
    void *p = alloc_fast(SIZE);
    tcache_flush();
    cr_assert_eq(defrag_utilization(p, &live, &capacity, &average), 0);
    cr_assert_eq(live, 1u);
    cr_assert_eq(capacity, size_class_table[size_class_of(SIZE)].slots);
    cr_assert_eq(average, 1u);
    cr_assert_eq(defrag_utilization((char *)p + SIZE - 1, &live, &capacity, &average), 0);
}

Test(defrag, the_average_is_over_the_spans_of_the_size)
{
    static struct stats stats;
    make_all();
    thin_out(5);
    survey_take(&stats);
    const struct stats_class *c = &stats.classes[size_class_of(SIZE)];
    cr_assert_eq(defrag_utilization(blocks[0], &live, &capacity, &average), 0);
    cr_assert_eq(average, (c->slots - c->free_in_spans) / c->spans);
    cr_assert(live > 0 && live < capacity / 3);
}

Test(defrag, what_is_no_small_block_has_no_span)
{
    int local;
    live = capacity = average = 77;
    cr_assert_eq(defrag_utilization(NULL, &live, &capacity, &average), EINVAL);
    cr_assert_eq(defrag_utilization(&local, &live, &capacity, &average), EINVAL);
    void *p = alloc_fast(1000000), *small = alloc_fast(SIZE);
    cr_assert_eq(defrag_utilization(p, &live, &capacity, &average), EINVAL);
    cr_assert_eq(defrag_utilization(&local, &live, &capacity, &average), EINVAL);
    cr_assert_eq(defrag_utilization((char *)small + ((size_t)1 << 35), &live, &capacity, &average), EINVAL);
    cr_assert_eq(defrag_utilization((void *)(uintptr_t)-8, &live, &capacity, &average), EINVAL);
    cr_assert(live == 77 && capacity == 77 && average == 77);
    cr_assert_eq(defrag_relocate(p), p);
    cr_assert_null(defrag_relocate(NULL));
}

Test(defrag, sparse_spans_are_emptied)
{
    make_all();
    thin_out(10);
    size_t before = spans();
    for (int i = 0; i < 20 && relocate_all() != 0; i++)
        continue;
    expect_content();
    cr_assert_leq(spans() * 3, before);
    cr_assert_eq(relocate_all(), 0u);
    cr_assert_eq(defrag_utilization(blocks[0], &live, &capacity, &average), 0);
    cr_assert_geq(average * 3, capacity);
}

Test(defrag, what_lies_densely_stays)
{
    make_all();
    alloc_collect();
    size_t moved = relocate_all();
    cr_assert_leq(moved, capacity + size_class_table[size_class_of(SIZE)].slots);
    expect_content();
}

static void *churn(void *arg)
{
    void *mine[200] = {0};
    for (size_t i = 0; i < 200000; i++) {
        void **place = &mine[i * 7919 % 200];
        alloc_free_fast(*place);
        *place = alloc_fast(SIZE);
    }
    for (size_t i = 0; i < 200; i++)
        alloc_free_fast(mine[i]);
    return arg;
}

Test(defrag, others_allocate_meanwhile)
{
    pthread_t threads[2];
    make_all();
    thin_out(4);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, churn, NULL), 0);
    for (int i = 0; i < 10; i++)
        relocate_all();
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    expect_content();
}

static void relocate_foreign(void *unused)
{
    (void)unused;
    alloc_free_fast(alloc_fast(1));
    cr_assert_null(defrag_relocate(&live));
}

static void relocate_interior(void *unused)
{
    (void)unused;
    cr_assert_null(defrag_relocate((char *)alloc_fast(SIZE) + 16));
}

Test(defrag, misuse_ends_the_process)
{
    char text[1024];
    cr_assert(WIFSIGNALED(run_in_child(relocate_foreign, NULL, text, sizeof text)));
    cr_assert_not_null(strstr(text, "tarn_relocate of "), "%s", text);
    cr_assert_not_null(strstr(text, "which tarn did not allocate"));
    cr_assert(WIFSIGNALED(run_in_child(relocate_interior, NULL, text, sizeof text)));
    cr_assert_not_null(strstr(text, "which lies inside the block at "), "%s", text);
}
