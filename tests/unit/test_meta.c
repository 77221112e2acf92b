// SPDX-License-Identifier: MIT
// Includes the source to hold the lock that only it knows.
#include "core/meta.c"

#include "seeded.h"
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

TestSuite(meta, .init = meta_init);

static bool is_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

Test(meta, blocks_are_aligned_zeroed_and_apart)
{
    static struct {
        unsigned char *p;
        size_t n;
    } blocks[3000];
    uint64_t state = seeded_start("meta blocks");
    for (size_t i = 0; i < 3000; i++) {
        size_t align = (size_t)1 << seeded_next(&state, 13);
        blocks[i].n = 1 + seeded_next(&state, i % 50 == 0 ? 100000 : 700);
        blocks[i].p = meta_alloc(blocks[i].n, align);
        cr_assert_not_null(blocks[i].p);
        cr_assert_eq((uintptr_t)blocks[i].p % align, 0);
        cr_assert(is_zero(blocks[i].p, blocks[i].n));
        memset(blocks[i].p, (int)(1 + i % 255), blocks[i].n);
    }
    for (size_t i = 0; i < 3000; i++)
        for (size_t at = 0; at < blocks[i].n; at++)
            cr_assert_eq(blocks[i].p[at], 1 + i % 255);
}

Test(meta, bytes_count_address_space)
{
    cr_assert_eq(meta_bytes(), 0);
    cr_assert_not_null(meta_alloc(1, 1));
    cr_assert_eq(meta_bytes(), CHUNK_BYTES);
    cr_assert_not_null(meta_alloc(CHUNK_BYTES / 4, 1));
    cr_assert_eq(meta_bytes(), CHUNK_BYTES);
    cr_assert_not_null(meta_alloc((1 << 20) + 1, CACHE_LINE));
    cr_assert_eq(meta_bytes(), CHUNK_BYTES + (1 << 20) + os_page_size());
}

Test(meta, many_small_blocks_share_a_chunk)
{
    for (size_t i = 1; i < CHUNK_BYTES / 64; i++) // the chunk's own description is there too
        cr_assert_not_null(meta_alloc(64, 64));
    cr_assert_eq(meta_bytes(), CHUNK_BYTES);
    cr_assert_not_null(meta_alloc(64, 64));
    cr_assert_eq(meta_bytes(), 2 * CHUNK_BYTES);
}

Test(meta, refusal_is_null_and_passes)
{
    os_fail_nth(1);
    cr_assert_null(meta_alloc(100, 8));
    cr_assert_eq(meta_bytes(), 0);
    cr_assert_not_null(meta_alloc(100, 8));
    os_fail_nth(1);
    cr_assert_null(meta_alloc(CHUNK_BYTES, 8));
    cr_assert_eq(meta_bytes(), CHUNK_BYTES);
    for (size_t i = 0; i < 3 * CHUNK_BYTES / 1024; i++) {
        os_fail_nth(1);
        void *p = meta_alloc(1024, 8);
        cr_assert_eq(p == NULL, os_fallible_calls() == 1);
        os_fail_nth(0);
        cr_assert(p != NULL || meta_alloc(1024, 8) != NULL);
    }
}

enum { THREADS = 4, BLOCKS = 4000, BLOCK = 40 };
static atomic_u32 ready;

static void *fill_blocks(void *arg)
{
    unsigned char sign = *(unsigned char *)arg;
    unsigned char *blocks[BLOCKS];
    fetch_add_relaxed(&ready, 1);
    while (load_relaxed(&ready) != THREADS)
        os_yield();
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = meta_alloc(BLOCK, 1);
        if (blocks[i] == NULL || !is_zero(blocks[i], BLOCK))
            return NULL;
        memset(blocks[i], sign, BLOCK);
    }
    for (int i = 0; i < BLOCKS; i++)
        for (int at = 0; at < BLOCK; at++)
            if (blocks[i][at] != sign)
                return NULL;
    return arg;
}

Test(meta, threads_get_different_blocks)
{
    pthread_t threads[THREADS];
    unsigned char signs[THREADS] = {1, 2, 3, 4};
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, fill_blocks, &signs[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        cr_assert_eq(result, &signs[i]);
    }
}

static atomic_u32 held;

static void *hold(void *arg)
{
    lock_take(&meta.lock);
    uintptr_t end = meta.end;
    meta.end = UINTPTR_MAX / 2; // as between the two stores that begin a chunk
    store_release(&held, 1);
    while (load_acquire(&held) == 1)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    meta.end = end;
    lock_drop(&meta.lock);
    return arg;
}

// Everything the child gets lies in chunks of its own, in the worst case from the first byte on.
static int child_is_whole(const char *before)
{
    size_t bytes = meta_bytes();
    meta_after_fork();
    for (size_t i = 1; i < CHUNK_BYTES / 1024; i++) {
        char *p = meta_alloc(1024, 8);
        if (p == NULL || (p >= before && p < before + CHUNK_BYTES))
            return 1;
        memset(p, 1, 1024);
    }
    return meta_bytes() == bytes + CHUNK_BYTES ? 0 : 2;
}

Test(meta, child_goes_on_where_a_vanished_thread_began_a_chunk, .timeout = 60)
{
    pthread_t thread;
    int status = 0;
    char *before = meta_alloc(100, 8);
    cr_assert_eq(pthread_create(&thread, NULL, hold, NULL), 0);
    while (load_acquire(&held) == 0)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0)
        _exit(child_is_whole(before));
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    store_release(&held, 2);
    pthread_join(thread, NULL);
}

Test(meta, child_uses_the_chunk_up_where_nobody_held_the_lock)
{
    int status = 0;
    cr_assert_not_null(meta_alloc(100, 8));
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        meta_after_fork();
        _exit(meta_alloc(100, 8) == NULL || meta_bytes() != CHUNK_BYTES);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
}
