// SPDX-License-Identifier: MIT
// All items of the server: shards chosen by the key's hash.
// Any thread may call these at any time, except store_init and store_destroy.
#ifndef KVSERVER_STORE_H
#define KVSERVER_STORE_H

#include "kvserver/shard.h"

struct store {
    struct shard *shards;
    size_t shard_count;       // a power of two
    _Atomic int64_t clear_at; // when a delayed flush is due
};

bool store_init(struct store *self, size_t limit);
void store_destroy(struct store *self);

// As the functions of shard.h; `now` is in milliseconds of the server's clock.
struct item *store_get(struct store *self, struct slice key, int64_t now);
enum store_result store_put(struct store *self, struct item *fresh, enum store_mode mode, uint64_t unique,
                            int64_t now);
enum store_result store_swap(struct store *self, const struct item *old, struct item *fresh, int64_t now);
bool store_delete(struct store *self, struct slice key, int64_t now);
bool store_touch(struct store *self, struct slice key, int64_t expires, int64_t now);

void store_clear(struct store *self);
void store_clear_later(struct store *self, int64_t when);

// Called about once a second: does a flush that has become due, and drops expired items a part at a time.
void store_tick(struct store *self, int64_t now);

struct shard_totals store_totals(struct store *self);

#endif
