// SPDX-License-Identifier: MIT
// Includes the source to count a mapping that ends where nothing is.
#include "core/resident.c"

#include "../support/mincore.h"
#include "core/alloc.h"
#include "core/options.h"
#include "core/os.h"
#include "core/survey.h"
#include "core/tsan.h"
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)

static struct stats before, now;

// Nothing goes back by itself, and no other thread is there.
static void begin(void)
{
    if (!mincore_keeps_within_bounds())
        cr_skip("mincore writes more than it should");
    setenv("TARN_DECAY_MS", "-1", 1);
    setenv("TARN_THP", "never", 1);
    alloc_free_fast(alloc_fast(100));
    survey_take_resident(&before);
}

TestSuite(resident, .init = begin);

static void expect_near(uint64_t a, uint64_t b)
{
    uint64_t apart = a > b ? a - b : b - a;
    cr_assert_leq(apart, now.rss_bytes / 50 + 128 * 1024, "%lu and %lu of %lu", a, b, now.rss_bytes);
}

// The parts are the kernel's count, and what is not the heap's is as large as before.
static void explain(void)
{
    survey_take_resident(&now);
    struct os_memory memory = os_memory();
    cr_assert_eq(stats_resident(&now), now.rss_bytes);
    expect_near(now.rss_bytes, memory.files + memory.anonymous);
#if !TARN_TSAN && !defined(__SANITIZE_ADDRESS__) // those keep notes of what is written to
    expect_near(now.resident_other_bytes, before.resident_other_bytes);
#endif
    expect_near(now.live_bytes, now.resident_live_bytes + now.untouched_bytes);
}

enum { BLOCKS = 30000 };
static char *blocks[BLOCKS];

static size_t size_of(size_t i) { return 16 + i * i * 37 % (i % 100 == 0 ? 200000 : 3000); }

static void *make_all(void *arg)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = alloc_fast(size_of(i));
        memset(blocks[i], 1, size_of(i));
    }
    return arg;
}

static void *free_most(void *arg)
{
    for (size_t i = 0; i < BLOCKS; i++)
        if (i % 10 != 0)
            alloc_free_fast(blocks[i]);
    return arg;
}

static void in_thread(void *(*work)(void *))
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, work, NULL), 0);
    pthread_join(thread, NULL);
}

Test(resident, blocks_that_were_written_to_are_live)
{
    make_all(NULL);
    explain();
    cr_assert_gt(now.rss_bytes, before.rss_bytes + 40 * MIB);
    cr_assert_leq(now.untouched_bytes, now.live_bytes / 20);
    cr_assert_leq(now.rounding_bytes, now.live_bytes / 4);
}

Test(resident, after_a_burst_it_lies_in_pages_caches_and_spans)
{
    in_thread(make_all);
    explain();
    in_thread(free_most);
    explain();
    uint64_t idle = now.resident_dirty_bytes + now.resident_cached_bytes + now.resident_span_free_bytes;
    expect_near(idle + now.resident_live_bytes + now.resident_metadata_bytes,
                now.rss_bytes - now.resident_other_bytes - now.resident_file_bytes);
    cr_assert_gt(idle, 20 * MIB);
    cr_assert_gt(now.resident_span_free_bytes, 10 * MIB);
    alloc_collect();
    explain();
    cr_assert_leq(now.resident_dirty_bytes, 64 * 1024u);
}

static void *idle_in_thread(void *arg)
{
    make_all(NULL);
    free_most(NULL);
    explain();
    return arg;
}

Test(resident, a_live_thread_s_cache_counts)
{
    store_relaxed(&options.tcache_total, 1 << 30);
    in_thread(idle_in_thread);
    cr_assert_gt(now.resident_cached_bytes, 128 * 1024u);
}

Test(resident, what_was_never_written_to_is_untouched)
{
    char *p = alloc_fast(256 * MIB);
    explain();
    cr_assert_geq(now.untouched_bytes, 256 * MIB);
    cr_assert_leq(now.rss_bytes, before.rss_bytes + MIB);
    memset(p + 100 * MIB, 1, 64 * MIB);
    explain();
    expect_near(now.resident_live_bytes - before.resident_live_bytes, 64 * MIB);
    expect_near(now.untouched_bytes - before.untouched_bytes, 192 * MIB);
    alloc_free_fast(p);
    explain();
    expect_near(now.resident_dirty_bytes, 64 * MIB);
}

Test(resident, a_block_larger_than_a_zone_is_one_block)
{
    char *p = alloc_fast(3 * ZONE_SIZE + 5 * MIB);
    memset(p, 1, 3 * ZONE_SIZE + 5 * MIB);
    explain();
    expect_near(now.resident_live_bytes - before.resident_live_bytes, 3 * ZONE_SIZE + 5 * MIB);
}

static void spread(char *p, size_t size)
{
    for (size_t at = 0; at < size; at += 4096)
        p[at] = 1;
}

// Slots of 2 MiB of the kernel's small pages, each written to in its first page alone.
Test(resident, parts_of_slots_count_by_the_kernel_s_pages)
{
    enum { N = 1000, SIZE = 40960 };
    for (size_t i = 0; i < N; i++)
        *(char *)alloc_fast(SIZE) = 1;
    explain();
    uint64_t live = now.resident_live_bytes - before.resident_live_bytes;
    cr_assert_geq(live, (uint64_t)N * 4096 * 9 / 10);
    cr_assert_leq(live, (uint64_t)N * max_size(4096, os_page_size()) * 11 / 10);
    for (size_t i = 0; i < N; i++)
        spread(alloc_fast(SIZE), SIZE);
    explain();
    expect_near(now.resident_live_bytes - before.resident_live_bytes - live, (uint64_t)N * SIZE);
}

Test(resident, a_mapping_with_nothing_behind_it_is_counted)
{
    static struct presence presence;
    size_t unit = os_page_size();
    char *p = os_map(20 * unit);
    os_release(p + 10 * unit, 10 * unit);
    memset(p + unit, 1, 7 * unit);
    cr_assert_eq(count_mapping(&presence, (uintptr_t)p, 10 * unit), 7 * unit);
    cr_assert_eq(count_mapping(&presence, (uintptr_t)p, 3 * unit + 1), 2 * unit + 1);
}

Test(resident, free_bytes_of_a_range_are_those_of_its_slots)
{
    struct slots slots = {.free = {UINT64_C(0xb2), 1}, .size = 100, .n = 65}; // slots 1, 4, 5, 7 and 64
    for (size_t from = 0; from < 6600; from += 37)
        for (size_t to = from + 1; to <= 6600; to += 61) {
            size_t expected = 0;
            for (size_t at = from; at < to; at++)
                expected += at / 100 < 65 && bits_test(slots.free, at / 100);
            cr_assert_eq(count_free(&slots, from, to), expected);
        }
}
