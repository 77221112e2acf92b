// SPDX-License-Identifier: MIT
#include "core/alloc.h"

#include "../support/dies.h"
#include "../support/fill.h"
#include "core/init.h"
#include "core/options.h"
#include "core/os.h"
#include "core/survey.h"
#include "core/tsan.h"
#include "limited.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

static size_t holds(void *p) { return alloc_usable_size(p, "malloc_usable_size"); }

// Sizes around every border: of classes, of the fast path, of the classes as a whole, of pages, of zones.
static size_t border_sizes(size_t *sizes)
{
    size_t n = 0;
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls += cls < 40 ? 3 : 5)
        for (size_t d = 0; d < 3; d++)
            sizes[n++] = size_class_size(cls) + d - 1;
    static const size_t more[] = {
        0, 1, 1023, 1024, 1025, SIZE_CLASS_MAX, SIZE_CLASS_MAX + 1, 5 * PAGE_SIZE, 5 * PAGE_SIZE + 1, 300000};
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        sizes[n++] = more[i];
    return n;
}

Test(alloc, realloc_between_all_sizes_keeps_the_content)
{
    size_t sizes[256], n = border_sizes(sizes);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            unsigned char *p = alloc_fast(sizes[i]);
            fill(p, sizes[i], (unsigned)i);
            size_t to = sizes[k] == 0 ? 1 : sizes[k];
            p = alloc_resize(p, to);
            cr_assert(fill_stands(p, min_size(sizes[i], to), (unsigned)i), "%zu to %zu", sizes[i], to);
            cr_assert_geq(holds(p), to);
            alloc_free_sized(p, to);
        }
    cr_assert(survey_validate());
}

Test(alloc, a_block_holds_the_good_size)
{
    for (size_t size = 0; size < 200000; size += size < 3000 ? 1 : 509) {
        void *p = alloc_fast(size);
        cr_assert_eq(holds(p), alloc_good_size(size));
        cr_assert_eq((uintptr_t)p % 16, 0u);
        alloc_free_sized(p, size);
    }
}

Test(alloc, sizes_of_no_use_fail)
{
    static const size_t sizes[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 4096, PTRDIFF_MAX};
    void *p = alloc_fast(100);
    for (size_t i = 0; i < 4; i++) {
        errno = 0;
        cr_assert(alloc_fast(sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        cr_assert(alloc_resize(p, sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        cr_assert(alloc_zeroed(2, sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        cr_assert(alloc_aligned(4096, sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        cr_assert(alloc_pvalloc(sizes[i]) == NULL && errno == ENOMEM);
    }
    cr_assert_eq(holds(p), 112u);
    cr_assert_eq(alloc_good_size(SIZE_MAX), 0u);
    cr_assert(survey_validate());
}

Test(alloc, aligned_blocks_of_all_kinds)
{
    for (size_t align = 1; align <= (size_t)1 << 27; align *= 2)
        for (size_t size = 0; size < 300000; size = size * 3 + 1) {
            void *p = alloc_aligned(align, size);
            cr_assert_eq((uintptr_t)p % max_size(align, 16), 0u);
            cr_assert_geq(holds(p), size);
            alloc_free_aligned_sized(p, align, size);
        }
    cr_assert(survey_validate());
}

Test(alloc, zeroed_blocks_are_zero_also_where_something_was)
{
    for (int round = 0; round < 3; round++)
        for (size_t size = 1; size < 2000000; size = size * 5 / 3 + 1) {
            unsigned char *p = alloc_zeroed(1, size);
            cr_assert(fill_is_zero(p, size), "%zu", size);
            memset(p, 255, size);
            alloc_free_fast(p);
        }
}

static size_t double_freed_size;

static void free_twice(void *arg)
{
    void *p = alloc_fast(double_freed_size);
    (void)arg;
    alloc_free_fast(p);
    alloc_free_fast(p);
    tcache_flush(); // at the latest
}

static void free_sized_too_small_after_growth(void *p)
{
    p = alloc_resize(p, 110);
    alloc_free_sized(alloc_resize(p, 120), 80);
}
static void free_sized_wrong(void *p) { alloc_free_sized(p, 200); }
static void free_inside(void *p)
{
    alloc_free_fast((char *)p + 16);
    tcache_flush();
}
static void resize_inside(void *p) { p = alloc_resize((char *)p + 16, 10); }
static void free_stack(void *p)
{
    (void)p;
    int here;
    alloc_free_fast(&here);
}

static void expect_says(void (*body)(void *arg), void *arg, const char *begin, const char *end)
{
    char text[256];
    int status = run_in_child(body, arg, text, sizeof text);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "no abort after %zu bytes; %s",
              double_freed_size, text);
    cr_assert_eq(strncmp(text, begin, strlen(begin)), 0, "%s", text);
    size_t length = strlen(text);
    cr_assert(length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0, "%s", text);
}

Test(alloc, misuse_ends_the_process)
{
    void *p = alloc_fast(100);
    for (double_freed_size = 0; double_freed_size < 300000; double_freed_size = double_freed_size * 4 + 10)
        expect_says(free_twice, NULL, "tarn: double free of 0x", "\n");
    expect_says(free_sized_wrong, p, "tarn: free of 0x", " with size 200, but its block holds 112 bytes\n");
    expect_says(free_sized_too_small_after_growth, p, "tarn: free of 0x",
                " with size 80, but its block holds 144 bytes\n");
    expect_says(free_stack, p, "tarn: free of 0x", ", which tarn did not allocate\n");
    char inside[64];
    snprintf(inside, sizeof inside, ", which lies inside the block at %p\n", p);
    expect_says(free_inside, p, "tarn: free of 0x", inside);
    expect_says(resize_inside, p, "tarn: realloc of 0x", inside);
}

// --- Out of memory at every step.

static void check(bool holds_true, const char *what)
{
    if (holds_true)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static void *expect_memory_or_error(void *p)
{
    check(p != NULL || errno == ENOMEM, "no memory, but errno does not say so");
    check(survey_validate(), "an invariant does not hold");
    errno = 0;
    return p;
}

static void *allocate_in_thread(void *arg)
{
    (void)arg;
    for (size_t size = 1; size < 100000; size = size * 3 + 1)
        alloc_free_fast(expect_memory_or_error(alloc_fast(size)));
    return NULL;
}

static void resize_through(void *p)
{
    static const size_t sizes[] = {50, 5000, 500, 100000, 200000, 40000000, 70000, 10};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *moved = expect_memory_or_error(alloc_resize(p, sizes[i]));
        p = moved != NULL ? moved : p;
    }
    alloc_free_fast(p);
}

static void scenario(void)
{
    enum { MANY = 400 };
    void *blocks[MANY];
    pthread_t thread;
    errno = 0;
    for (size_t i = 0; i < MANY; i++) {
        size_t size = (i * 7919) % (i % 20 == 0 ? 1000000 : 40000);
        blocks[i] = expect_memory_or_error(i % 5 == 0   ? alloc_aligned((size_t)16 << i % 16, size)
                                           : i % 5 == 1 ? alloc_zeroed(3, size)
                                                        : alloc_fast(size));
    }
    for (size_t i = 0; i < MANY; i++)
        alloc_free_fast(blocks[i]);
    resize_through(expect_memory_or_error(alloc_fast(20)));
    alloc_free_fast(expect_memory_or_error(alloc_fast((size_t)100 << 20)));
    // ThreadSanitizer lets no child of fork start threads.
    if (!TARN_TSAN && pthread_create(&thread, NULL, allocate_in_thread, NULL) == 0)
        pthread_join(thread, NULL);
    alloc_collect();
    check(survey_validate(), "an invariant does not hold at the end");
}

static void run_with_fault(void *arg)
{
    uint32_t n = *(uint32_t *)arg;
    os_fail_nth(n);
    scenario();
    bool hit = os_fallible_calls() >= n;
    os_fail_nth(0);
    scenario();
    struct stats stats;
    survey_take(&stats);
    check(stats.live_bytes == 0, "something is lost");
    check(stats.mapped_bytes == stats_accounted(&stats), "the parts are not the whole");
    check(alloc_fast((size_t)100 << 20) != NULL, "memory does not come back");
    _exit(hit ? 0 : 3);
}

Test(alloc, every_refused_call_of_the_kernel_is_survived, .timeout = 200)
{
    char text[1024];
    uint32_t n = 1;
    for (;; n++) {
        int status = run_in_child(run_with_fault, &n, text, sizeof text);
        cr_assert_str_eq(text, "", "fault %u: %s", n, text);
        cr_assert(WIFEXITED(status), "fault %u: status %x", n, (unsigned)status);
        if (WEXITSTATUS(status) == 3)
            break;
        cr_assert_eq(WEXITSTATUS(status), 0);
    }
    cr_assert_gt(n, 10u);
}

// Small steps upwards move a block now and then, not at each size class.
Test(alloc, a_block_that_creeps_upwards_seldom_moves)
{
    unsigned moves = 0;
    unsigned char *p = alloc_fast(400);
    fill(p, 400, 1);
    for (size_t size = 408; size <= 40000; size += 8) {
        unsigned char *q = alloc_resize(p, size);
        moves += q != p;
        p = q;
        cr_assert_geq(holds(p), size);
        cr_assert_leq(holds(p), alloc_good_size(size + size / 4));
    }
    cr_assert_leq(moves, 22u); // 1.25^21 > 100
    cr_assert(fill_stands(p, 400, 1));
    alloc_free_sized(p, 40000);
}

// One that doubles gets what it asks for, and one that becomes much smaller moves.
Test(alloc, a_block_that_leaps_gets_no_more_than_it_asks_for)
{
    void *p = alloc_fast(1000);
    for (size_t size = 2000; size <= 64000; size *= 2) {
        p = alloc_resize(p, size);
        cr_assert_eq(holds(p), alloc_good_size(size));
    }
    p = alloc_resize(p, 1000);
    cr_assert_leq(holds(p), alloc_good_size(1250));
    alloc_free_fast(p);
}

// A block that cannot move to a smaller one stays, and the sized free of what was asked for is no misuse.
Test(alloc, a_block_shrinks_also_without_memory)
{
    void *p = alloc_fast(60000);
    set_hard_limit(PAGE_SIZE);
    errno = 7;
    void *q = alloc_resize(p, 20);
    cr_assert_not_null(q);
    cr_assert_eq(errno, 7);
    alloc_free_sized(q, 20);
    set_hard_limit(0);
}

enum { THIN = 32768, THIN_SIZE = 1024, THIN_KEPT = 31 };

// A class that is not used any more pays for one that grows.
Test(alloc, a_growing_heap_lets_what_is_free_go)
{
    static char *blocks[THIN];
    for (size_t i = 0; i < THIN; i++)
        fill(blocks[i] = alloc_fast(THIN_SIZE), THIN_SIZE, 3);
    for (size_t i = 0; i < THIN; i++)
        if (i % THIN_KEPT != 0)
            alloc_free_fast(blocks[i]);
    size_t before = limit_charged(), grown = 0;
    while (grown < (size_t)32 << 20) {
        cr_assert_not_null(alloc_fast(8192));
        grown += 8192;
    }
    cr_assert_gt(load_relaxed(&limits.rested), (size_t)8 << 20);
    cr_assert_leq(limit_charged(), before + grown - ((size_t)8 << 20));
    for (size_t i = 0; i < THIN; i += THIN_KEPT)
        cr_assert(fill_stands((unsigned char *)blocks[i], THIN_SIZE, 3));
}

Test(alloc, a_block_of_pages_that_becomes_larger_is_as_large_as_any_other_of_its_size)
{
    for (size_t size = PAGE_SIZE + 1; size < 20 * PAGE_SIZE; size += 3000) {
        void *p = alloc_aligned_slow(4 * PAGE_SIZE, 100, NULL),
             *behind = alloc_aligned_slow(PAGE_SIZE, 100, NULL);
        p = expect_memory_or_error(alloc_resize(p, size));
        cr_assert(size > SIZE_CLASS_MAX || holds(p) <= alloc_good_size(size + size / 2));
        alloc_free_fast(p);
        alloc_free_fast(behind);
    }
}
