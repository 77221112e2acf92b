// SPDX-License-Identifier: MIT
// A part of the store: a hash table whose items are also ordered by use, bounded in bytes.
// Any thread may call these at any time, except shard_init and shard_destroy; each takes the shard's lock.
#ifndef KVSERVER_SHARD_H
#define KVSERVER_SHARD_H

#include <pthread.h>

#include "kvserver/item.h"

enum store_mode { STORE_SET, STORE_ADD, STORE_REPLACE, STORE_CAS };
enum store_result { STORE_STORED, STORE_NOT_STORED, STORE_EXISTS, STORE_NOT_FOUND, STORE_TOO_LARGE };

struct shard_totals {
    uint64_t items, bytes, stored, evicted, expired;
};

// Everything below the lock is guarded by it.
//   totals.items = items in all buckets = items between newest and oldest
//   totals.bytes = sum of their footprints <= limit
struct shard {
    _Alignas(64) pthread_mutex_t lock;
    struct item **buckets;
    size_t bucket_count; // a power of two
    size_t sweep_at;     // the bucket where the next sweep begins
    struct item *newest, *oldest;
    size_t limit;
    uint64_t last_unique;
    struct shard_totals totals;
};

bool shard_init(struct shard *self, size_t limit);
void shard_destroy(struct shard *self);

// The item of that key, held for the caller, or NULL.
struct item *shard_get(struct shard *self, struct slice key, uint64_t hash, int64_t now);

// Puts the item in, subject to the mode; `unique` is compared by STORE_CAS alone. The caller keeps its own
// hold.
enum store_result shard_put(struct shard *self, struct item *fresh, enum store_mode mode, uint64_t unique,
                            int64_t now);

// Puts `fresh` in the place of `old`, if `old` is still what its key finds.
enum store_result shard_swap(struct shard *self, const struct item *old, struct item *fresh, int64_t now);

bool shard_delete(struct shard *self, struct slice key, uint64_t hash, int64_t now);
bool shard_touch(struct shard *self, struct slice key, uint64_t hash, int64_t expires, int64_t now);

void shard_clear(struct shard *self);

// Drops what has expired in one of `parts` equal parts of the buckets; the next call goes on with the next.
void shard_sweep(struct shard *self, size_t parts, int64_t now);

void shard_add_totals(struct shard *self, struct shard_totals *sum);

#endif
