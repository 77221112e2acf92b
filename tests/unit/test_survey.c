// SPDX-License-Identifier: MIT
#include "core/survey.h"

#include "core/alloc.h"
#include "core/central.h"
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

static struct stats stats;

static void expect_sums(void)
{
    survey_take(&stats);
    cr_assert(survey_validate());
    cr_assert_eq(stats.mapped_bytes, stats_accounted(&stats));
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++) {
        const struct stats_class *c = &stats.classes[cls];
        cr_assert_eq(c->slots, c->live_objects + c->cached_thread + c->cached_batch + c->free_in_spans);
        cr_assert_eq(c->slots, c->spans * size_class_table[cls].slots);
    }
}

static size_t held(void **blocks, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += alloc_usable_size(blocks[i], "malloc_usable_size");
    return sum;
}

enum { MANY = 400 };
static void *blocks[MANY];

static size_t some_size(size_t i) { return (i * i * i * 37) % (i % 50 == 0 ? 3000000 : 5000); }

static void make_all(void)
{
    for (size_t i = 0; i < MANY; i++)
        blocks[i] = i % 7 == 0 ? alloc_aligned((size_t)1 << i % 20, some_size(i)) : alloc_fast(some_size(i));
}

Test(survey, the_parts_are_the_whole_at_every_step)
{
    make_all();
    expect_sums();
    cr_assert_eq(stats.live_bytes, held(blocks, MANY));
    for (size_t i = 0; i < MANY; i++) {
        alloc_free_fast(blocks[i]);
        if (i % 20 == 19) {
            expect_sums();
            cr_assert_eq(stats.live_bytes, held(blocks + i + 1, MANY - i - 1));
        }
    }
    cr_assert_eq(stats.live_bytes, 0u);
    cr_assert_eq(stats.large_bytes, 0u);
}

Test(survey, collecting_leaves_only_clean_pages)
{
    make_all();
    for (size_t i = 0; i < MANY; i++)
        alloc_free_fast(blocks[i]);
    cr_assert_gt(alloc_collect(), 0u);
    expect_sums();
    cr_assert_eq(stats.page_heap_clean_bytes, stats.mapped_bytes);
    cr_assert_eq(stats.spans_made, stats.spans_retired);
    cr_assert_gt(stats.pages_purged, 0u);
    cr_assert_eq(alloc_collect(), 0u);
}

Test(survey, large_blocks_are_whole_pages)
{
    void *p = alloc_fast(1000000);
    expect_sums();
    cr_assert_eq(stats.large_bytes, alloc_good_size(1000000));
    cr_assert_eq(stats.live_bytes, stats.large_bytes);
    p = alloc_resize(p, 5000000);
    expect_sums();
    cr_assert_eq(stats.large_bytes, alloc_good_size(5000000));
    alloc_free_fast(p);
    expect_sums();
    cr_assert_eq(stats.live_bytes, 0u);
}

static void *make_in_thread(void *arg)
{
    (void)arg;
    make_all();
    survey_take(&stats);
    return NULL;
}

Test(survey, threads_are_counted_while_they_have_caches)
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, make_in_thread, NULL), 0);
    pthread_join(thread, NULL);
    cr_assert_eq(stats.threads, 1u);
    expect_sums();
    cr_assert_eq(stats.threads, 0u);
    cr_assert_eq(stats.thread_caches, 1u);
    cr_assert_eq(stats.cached_thread_bytes, 0u);
    cr_assert_eq(stats.live_bytes, held(blocks, MANY));
}

static _Atomic(bool) done;

static void *churn(void *arg)
{
    (void)arg;
    for (size_t i = 0; !atomic_load(&done); i++) {
        void *p = alloc_fast(some_size(i % 1000));
        p = alloc_resize(p, 1 + some_size(i * 3 % 1000));
        alloc_free_fast(p);
    }
    return NULL;
}

// The numbers need not fit together then, but none may be absurd.
Test(survey, others_go_on_meanwhile)
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, churn, NULL), 0);
    for (int i = 0; i < 200; i++) {
        survey_take(&stats);
        cr_assert_lt(stats.live_bytes, UINT64_C(1) << 40);
        cr_assert_lt(stats.span_free_bytes, UINT64_C(1) << 40);
        cr_assert_leq(stats.page_heap_clean_bytes + stats.page_heap_dirty_bytes, stats.mapped_bytes);
    }
    atomic_store(&done, true);
    pthread_join(thread, NULL);
    expect_sums();
}

// A bit that says "free" without having been counted.
Test(survey, validation_notices_a_spoilt_span)
{
    void *p = alloc_fast(512), *q = alloc_fast(512);
    tcache_flush();
    cr_assert(survey_validate());
    struct span *span = span_of_page(page_of(p));
    fetch_or_release(&span->bits[0], UINT64_C(3));
    cr_assert_not(survey_validate());
    (void)q;
    _Exit(0); // the end of the process would find it too
}

// Requested sizes are estimated from what was asked for at slow paths.
Test(survey, what_was_asked_for_is_estimated)
{
    enum { SAMPLES = 20000, LEAST = 129 };
    static void *objects[SAMPLES];
    unsigned cls = size_class_of(LEAST), sizes = (unsigned)size_class_size(cls) - LEAST + 1;
    uint64_t asked = 0, random = 1;
    for (size_t i = 0; i < SAMPLES; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        size_t size = LEAST + (size_t)(random >> 33) % sizes;
        cr_assert_not_null(objects[i] = alloc_fast(size));
        asked += size;
    }
    survey_take(&stats);
    uint64_t estimate = stats.classes[cls].requested_estimate_bytes;
    cr_assert_lt(estimate, stats.classes[cls].live_objects * stats.classes[cls].size);
    cr_assert(estimate > asked - asked / 50 && estimate < asked + asked / 50, "%lu of %lu", estimate, asked);
    cr_assert_leq(stats.requested_estimate_bytes, stats.live_bytes);
    for (size_t i = 0; i < SAMPLES; i++)
        alloc_free_fast(objects[i]);
}
