// SPDX-License-Identifier: MIT
#include "kvserver/store.h"

#include <stdlib.h>

enum { SHARDS_MAX = 64, SWEEP_PARTS = 60 };

// A shard must hold several items of the largest size, or its order of use would mean nothing.
static size_t shards_for(size_t limit)
{
    size_t count = 1;
    while (count < SHARDS_MAX && limit / (count * 2) >= 4 * (size_t)ITEM_VALUE_MAX)
        count *= 2;
    return count;
}

bool store_init(struct store *self, size_t limit)
{
    self->shard_count = shards_for(limit);
    atomic_init(&self->clear_at, INT64_MAX);
    self->shards = aligned_alloc(_Alignof(struct shard), self->shard_count * sizeof *self->shards);
    if (!self->shards)
        return false;
    bool ok = true;
    for (size_t i = 0; i < self->shard_count; i++)
        ok &= shard_init(&self->shards[i], limit / self->shard_count);
    return ok;
}

void store_destroy(struct store *self)
{
    for (size_t i = 0; self->shards && i < self->shard_count; i++)
        shard_destroy(&self->shards[i]);
    free(self->shards);
}

static struct shard *store_shard(struct store *self, uint64_t hash)
{
    return &self->shards[hash & (self->shard_count - 1)];
}

struct item *store_get(struct store *self, struct slice key, int64_t now)
{
    uint64_t hash = item_hash(key);
    return shard_get(store_shard(self, hash), key, hash, now);
}

enum store_result store_put(struct store *self, struct item *fresh, enum store_mode mode, uint64_t unique,
                            int64_t now)
{
    return shard_put(store_shard(self, fresh->hash), fresh, mode, unique, now);
}

enum store_result store_swap(struct store *self, const struct item *old, struct item *fresh, int64_t now)
{
    return shard_swap(store_shard(self, old->hash), old, fresh, now);
}

bool store_delete(struct store *self, struct slice key, int64_t now)
{
    uint64_t hash = item_hash(key);
    return shard_delete(store_shard(self, hash), key, hash, now);
}

bool store_touch(struct store *self, struct slice key, int64_t expires, int64_t now)
{
    uint64_t hash = item_hash(key);
    return shard_touch(store_shard(self, hash), key, hash, expires, now);
}

void store_clear(struct store *self)
{
    for (size_t i = 0; i < self->shard_count; i++)
        shard_clear(&self->shards[i]);
}

void store_clear_later(struct store *self, int64_t when)
{
    // Relaxed: only the time itself is passed, and the tick that sees it a second later is as good.
    atomic_store_explicit(&self->clear_at, when, memory_order_relaxed);
}

void store_tick(struct store *self, int64_t now)
{
    int64_t due = atomic_load_explicit(&self->clear_at, memory_order_relaxed);
    // The exchange can only fail when a newer flush has been asked for, which then has its own time.
    if (due <= now && atomic_compare_exchange_strong_explicit(&self->clear_at, &due, INT64_MAX,
                                                              memory_order_relaxed, memory_order_relaxed))
        store_clear(self);
    for (size_t i = 0; i < self->shard_count; i++)
        shard_sweep(&self->shards[i], SWEEP_PARTS, now);
}

struct shard_totals store_totals(struct store *self)
{
    struct shard_totals sum = {0};
    for (size_t i = 0; i < self->shard_count; i++)
        shard_add_totals(&self->shards[i], &sum);
    return sum;
}
