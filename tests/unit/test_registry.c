// SPDX-License-Identifier: MIT
#include "tcache/registry.h"

#include "../support/dies.h"
#include "core/init.h"
#include "core/os.h"
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

static void setup(void) { cr_assert(heap_start()); }
TestSuite(registry, .init = setup);

static size_t count_all(void)
{
    size_t n = 0;
    for (struct tcache *cache = registry_first(); cache != NULL; cache = registry_next(cache))
        n++;
    return n;
}

static bool is_registered(const struct tcache *wanted)
{
    for (struct tcache *cache = registry_first(); cache != NULL; cache = registry_next(cache))
        if (cache == wanted)
            return true;
    return false;
}

Test(registry, every_cache_has_a_home_number_of_its_own)
{
    enum { MANY = 50 };
    struct tcache *caches[MANY];
    for (int i = 0; i < MANY; i++) {
        cr_assert_not_null(caches[i] = registry_take());
        cr_assert_geq(caches[i]->tag, 1u << PAGE_HOME_SHIFT);
        cr_assert_eq(caches[i]->tag % (1u << PAGE_HOME_SHIFT), 0u);
        cr_assert_eq(load_relaxed(&caches[i]->state), (uint32_t)TCACHE_LIVE);
        cr_assert(is_registered(caches[i]));
        for (int k = 0; k < i; k++)
            cr_assert_neq(caches[k]->tag, caches[i]->tag);
    }
    cr_assert_eq(count_all(), (size_t)MANY);
}

Test(registry, what_was_given_is_taken_again_and_stays_listed)
{
    struct tcache *first = registry_take(), *second = registry_take();
    uint32_t tag = first->tag;
    registry_give(first);
    cr_assert_eq(load_relaxed(&first->state), (uint32_t)TCACHE_UNUSED);
    cr_assert_eq(count_all(), 2u);
    cr_assert_eq(registry_take(), first);
    cr_assert_eq(first->tag, tag);
    registry_give(second);
    registry_give(first);
    cr_assert_neq(registry_take(), registry_take());
    cr_assert_eq(count_all(), 2u);
}

Test(registry, without_memory_there_is_no_cache)
{
    struct tcache *cache = NULL;
    os_fail_nth(1);
    for (int i = 0; i < 10000 && (cache = registry_take()) != NULL; i++)
        continue;
    cr_assert_null(cache);
    cr_assert_not_null(registry_take());
}

static void expect_next_generation(void *arg)
{
    uint32_t *before = arg;
    if (registry_generation() != *before + 1)
        abort();
    struct tcache *cache = registry_take();
    if (load_relaxed(&cache->generation) != *before + 1)
        abort();
}

Test(registry, a_child_is_of_the_next_generation)
{
    uint32_t generation = registry_generation();
    cr_assert_eq(load_relaxed(&registry_take()->generation), generation);
    expect_survives(expect_next_generation, &generation);
    cr_assert_eq(registry_generation(), generation);
}

enum { CROWD = 4, ROUNDS = 3000 };
static atomic_u32 owners[CROWD * 2 + 2]; // by home number

static void *take_and_give(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct tcache *cache = registry_take();
        uint32_t home = cache->tag >> PAGE_HOME_SHIFT;
        cr_assert_lt(home, sizeof owners / sizeof owners[0]);
        cr_assert_eq(fetch_add_relaxed(&owners[home], 1), 0u);
        cr_assert_geq(count_all(), 1u);
        fetch_sub_relaxed(&owners[home], 1);
        registry_give(cache);
    }
    return NULL;
}

Test(registry, no_cache_has_two_owners)
{
    pthread_t threads[CROWD];
    for (int i = 0; i < CROWD; i++)
        pthread_create(&threads[i], NULL, take_and_give, NULL);
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    cr_assert_leq(count_all(), (size_t)CROWD);
}
