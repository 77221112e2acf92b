// SPDX-License-Identifier: MIT
#include "tcache/registry.h"

#include "core/lock.h"
#include "core/meta.h"
#include "core/tsan.h"

static struct {
    struct lock lock;
    struct tcache *unused; // guarded by lock
    uint32_t made;         // guarded by lock: home numbers up to here are taken
    atomic_u32 generation; // relaxed: changes only while there is one thread
    atomic_u32 starts;     // relaxed
    atomic_u32 live;       // relaxed
    ck_stack_t all;        // push-only, so that walking it needs no lock
} registry;

CK_STACK_CONTAINER(struct tcache, link, cache_of)

void registry_init(void)
{
    lock_init(&registry.lock, LOCK_REGISTRY);
    ck_stack_init(&registry.all);
}

uint32_t registry_starts(void) { return load_relaxed(&registry.starts); }

uint32_t registry_live(void) { return load_relaxed(&registry.live); }

uint32_t registry_generation(void) { return load_relaxed(&registry.generation); }

// ck's stores are invisible to ThreadSanitizer; what it has to know is that a cache is made before it is
// found.
static void publish(struct tcache *cache)
{
    tsan_release(&registry.all);
    ck_stack_push_upmc(&registry.all, &cache->link);
}

static struct tcache *make_locked(void)
{
    struct tcache *cache = meta_alloc(sizeof *cache, CACHE_LINE);
    if (cache == NULL)
        return NULL;
    cache->tag = ++registry.made << PAGE_HOME_SHIFT;
    publish(cache);
    return cache;
}

static struct tcache *take_locked(void)
{
    struct tcache *cache = registry.unused;
    if (cache == NULL)
        return make_locked();
    registry.unused = cache->next_unused;
    return cache;
}

struct tcache *registry_take(void)
{
    lock_take(&registry.lock);
    struct tcache *cache = take_locked();
    lock_drop(&registry.lock);
    if (cache != NULL) {
        fetch_add_relaxed(&registry.starts, 1);
        fetch_add_relaxed(&registry.live, 1);
        store_relaxed(&cache->generation, registry_generation());
        store_release(&cache->state, TCACHE_LIVE); // pairs with is_orphan, for the generation
    }
    return cache;
}

void registry_give(struct tcache *cache)
{
    store_relaxed(&cache->state, TCACHE_UNUSED);
    fetch_sub_relaxed(&registry.live, 1);
    lock_take(&registry.lock);
    cache->next_unused = registry.unused;
    registry.unused = cache;
    lock_drop(&registry.lock);
}

struct tcache *registry_first(void)
{
    ck_stack_entry_t *first = ck_pr_load_ptr(&registry.all.head);
    tsan_acquire(&registry.all);
    return first == NULL ? NULL : cache_of(first);
}

struct tcache *registry_next(struct tcache *cache)
{
    ck_stack_entry_t *next = ck_pr_load_ptr(&cache->link.next);
    return next == NULL ? NULL : cache_of(next);
}

// A descriptor that a vanished thread was taking or giving is in the list or is not; both are sound.
void registry_after_fork(void)
{
    lock_reset_after_fork(&registry.lock);
    fetch_add_relaxed(&registry.generation, 1);
    store_relaxed(&registry.starts, 1); // the forking thread's; at most one too many
}
