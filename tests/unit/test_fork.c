// SPDX-License-Identifier: MIT
#include "core/fork.h"

#include "../support/dies.h"
#include "core/alloc.h"
#include "core/survey.h"
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void check(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static void use_heap(void)
{
    static void *objects[300];
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 300; i++) {
            check((objects[i] = alloc_fast(i * (i % 10 == 0 ? 1000 : 10))) != NULL, "no memory");
            memset(objects[i], (int)i, i);
        }
        for (size_t i = 0; i < 300; i++)
            alloc_free_fast(objects[i]);
    }
    check(survey_validate(), "an invariant does not hold");
}

static void *kept;

static void use_in_child(void *arg)
{
    check(fork_count() == *(uint32_t *)arg, "forks are miscounted");
    check(strcmp(kept, "kept") == 0, "a block lost its content");
    check(survey_validate(), "an invariant does not hold at once");
    use_heap();
    alloc_free_fast(kept);
    use_heap();
}

static void keep(void)
{
    kept = alloc_fast(100);
    strcpy(kept, "kept");
}

Test(fork, the_child_of_one_thread_goes_on)
{
    uint32_t forks = 1;
    keep();
    use_heap();
    expect_survives(use_in_child, &forks);
    cr_assert_eq(fork_count(), 0u);
    use_in_child(&(uint32_t){0});
}

static void fork_again(void *arg)
{
    uint32_t forks = *(uint32_t *)arg + 1;
    check(fork_count() + 1 == forks, "forks are miscounted");
    use_heap();
    if (forks <= 4)
        expect_survives(fork_again, &forks);
    use_in_child(&(uint32_t){forks - 1});
}

Test(fork, children_of_children)
{
    uint32_t none = 0;
    keep();
    expect_survives(use_in_child, &(uint32_t){1});
    fork_again(&none);
}

// --- Other threads, which the child does not have.

enum { CROWD = 3 };
static _Atomic(bool) done;
static pthread_barrier_t filled;

static void *fill_cache_and_wait(void *arg)
{
    void *objects[100];
    (void)arg;
    for (int i = 0; i < 100; i++)
        objects[i] = alloc_fast(64);
    for (int i = 0; i < 100; i++)
        alloc_free_fast(objects[i]);
    pthread_barrier_wait(&filled);
    pthread_barrier_wait(&filled);
    return NULL;
}

static void expect_adoption(void *arg)
{
    struct tcache_counts counts;
    (void)arg;
    tcache_counts_shared(&counts);
    check(counts.live == CROWD + 1, "the vanished threads' caches are not there");
    for (size_t i = 0; i < 3000; i++)
        check(alloc_fast(512) != NULL, "no memory");
    tcache_counts_shared(&counts);
    check(counts.live == 1, "the vanished threads' caches are still live");
    tcache_flush();
    tcache_counts_shared(&counts);
    check(counts.objects[4] == 0, "objects are still in vanished threads' caches");
    check(survey_validate(), "an invariant does not hold");
}

Test(fork, caches_of_vanished_threads_are_emptied)
{
    pthread_t threads[CROWD];
    alloc_free_fast(alloc_fast(64));
    pthread_barrier_init(&filled, NULL, CROWD + 1);
    for (int i = 0; i < CROWD; i++)
        pthread_create(&threads[i], NULL, fill_cache_and_wait, NULL);
    pthread_barrier_wait(&filled);
    expect_survives(expect_adoption, NULL);
    pthread_barrier_wait(&filled);
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    cr_assert(survey_validate());
}

static void *churn(void *arg)
{
    unsigned random = (unsigned)(uintptr_t)arg;
    while (!atomic_load(&done)) {
        void *objects[40];
        for (int i = 0; i < 40; i++) {
            random = random * 1664525u + 1013904223u;
            objects[i] = alloc_fast((random >> 8) % (i == 0 ? 200000 : 2000));
        }
        for (int i = 0; i < 40; i++)
            alloc_free_fast(objects[i]);
        if (random % 16 == 0)
            alloc_collect();
    }
    return NULL;
}

Test(fork, at_any_moment_of_other_threads)
{
    pthread_t threads[CROWD];
    keep();
    for (uintptr_t i = 0; i < CROWD; i++)
        pthread_create(&threads[i], NULL, churn, (void *)i);
    for (int i = 0; i < 60; i++)
        expect_survives(use_in_child, &(uint32_t){1});
    atomic_store(&done, true);
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    use_heap();
}
