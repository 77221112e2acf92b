// SPDX-License-Identifier: MIT
// Dropped items are collected in a list while the lock is held and released after it, so that no other thread
// waits for free().
#include "kvserver/shard.h"

#include <stdlib.h>

enum { FIRST_BUCKETS = 1024, RENEW_AFTER_MS = 1000 };

bool shard_init(struct shard *self, size_t limit)
{
    *self = (struct shard){.limit = limit, .bucket_count = FIRST_BUCKETS};
    pthread_mutex_init(&self->lock, NULL);
    self->buckets = calloc(FIRST_BUCKETS, sizeof *self->buckets);
    return self->buckets != NULL;
}

void shard_destroy(struct shard *self)
{
    if (self->buckets)
        shard_clear(self);
    free(self->buckets);
    pthread_mutex_destroy(&self->lock);
}

// The high half chooses the bucket, since the low bits have chosen the shard.
static struct item **shard_bucket(const struct shard *self, uint64_t hash)
{
    return &self->buckets[(hash >> 32) & (self->bucket_count - 1)];
}

static void shard_push_newest(struct shard *self, struct item *item, int64_t now)
{
    item->used = now;
    item->newer = NULL;
    item->older = self->newest;
    if (self->newest)
        self->newest->newer = item;
    else
        self->oldest = item;
    self->newest = item;
}

static void shard_take_out_of_order(struct shard *self, struct item *item)
{
    if (item->newer)
        item->newer->older = item->older;
    else
        self->newest = item->older;
    if (item->older)
        item->older->newer = item->newer;
    else
        self->oldest = item->newer;
}

static void shard_unlink(struct shard *self, struct item **place, struct item **dropped)
{
    struct item *item = *place;
    *place = item->chain;
    shard_take_out_of_order(self, item);
    self->totals.items--;
    self->totals.bytes -= item_footprint(item);
    item->chain = *dropped;
    *dropped = item;
}

static void shard_link(struct shard *self, struct item *item, int64_t now)
{
    struct item **bucket = shard_bucket(self, item->hash);
    item_hold(item);
    item->unique = ++self->last_unique;
    item->chain = *bucket;
    *bucket = item;
    shard_push_newest(self, item, now);
    self->totals.items++;
    self->totals.stored++;
    self->totals.bytes += item_footprint(item);
}

// The place that points to the item of that key (or to NULL); an item that has expired is dropped on the way.
static struct item **shard_find(struct shard *self, struct slice key, uint64_t hash, int64_t now,
                                struct item **dropped)
{
    struct item **place = shard_bucket(self, hash);
    while (*place && !((*place)->hash == hash && slice_equal(item_key(*place), key)))
        place = &(*place)->chain;
    if (*place && (*place)->expires <= now) {
        shard_unlink(self, place, dropped);
        self->totals.expired++;
        while (*place)
            place = &(*place)->chain;
    }
    return place;
}

static struct item **shard_place_of(const struct shard *self, const struct item *item)
{
    struct item **place = shard_bucket(self, item->hash);
    while (*place != item)
        place = &(*place)->chain;
    return place;
}

static void shard_evict(struct shard *self, struct item **dropped)
{
    while (self->totals.bytes > self->limit) {
        shard_unlink(self, shard_place_of(self, self->oldest), dropped);
        self->totals.evicted++;
    }
}

static void shard_move_all(struct shard *self, struct item **old, size_t old_count)
{
    for (size_t i = 0; i < old_count; i++) {
        for (struct item *item = old[i], *next; item; item = next) {
            struct item **bucket = shard_bucket(self, item->hash);
            next = item->chain;
            item->chain = *bucket;
            *bucket = item;
        }
    }
}

// Without memory for more buckets the chains just grow longer.
static void shard_grow(struct shard *self)
{
    struct item **old = self->buckets;
    size_t old_count = self->bucket_count;
    struct item **buckets = calloc(old_count * 2, sizeof *buckets);
    if (!buckets)
        return;
    self->buckets = buckets;
    self->bucket_count = old_count * 2;
    shard_move_all(self, old, old_count);
    free(old);
}

static void shard_insert(struct shard *self, struct item *fresh, int64_t now, struct item **dropped)
{
    shard_link(self, fresh, now);
    shard_evict(self, dropped);
    if (self->totals.items > self->bucket_count)
        shard_grow(self);
}

static void shard_unlock(struct shard *self, struct item *dropped)
{
    pthread_mutex_unlock(&self->lock);
    item_release_list(dropped);
}

// Moving an item for every use would keep the lock longer for an order that is hardly better.
static void shard_renew(struct shard *self, struct item *item, int64_t now)
{
    if (now - item->used < RENEW_AFTER_MS)
        return;
    shard_take_out_of_order(self, item);
    shard_push_newest(self, item, now);
}

struct item *shard_get(struct shard *self, struct slice key, uint64_t hash, int64_t now)
{
    struct item *dropped = NULL;
    pthread_mutex_lock(&self->lock);
    struct item *item = *shard_find(self, key, hash, now, &dropped);
    if (item) {
        item_hold(item);
        shard_renew(self, item, now);
    }
    shard_unlock(self, dropped);
    return item;
}

static enum store_result mode_allows(enum store_mode mode, const struct item *present, uint64_t unique)
{
    switch (mode) {
    case STORE_ADD:
        return present ? STORE_NOT_STORED : STORE_STORED;
    case STORE_REPLACE:
        return present ? STORE_STORED : STORE_NOT_STORED;
    case STORE_CAS:
        if (!present)
            return STORE_NOT_FOUND;
        return present->unique == unique ? STORE_STORED : STORE_EXISTS;
    case STORE_SET:
    default:
        return STORE_STORED;
    }
}

enum store_result shard_put(struct shard *self, struct item *fresh, enum store_mode mode, uint64_t unique,
                            int64_t now)
{
    if (item_footprint(fresh) > self->limit)
        return STORE_TOO_LARGE;
    struct item *dropped = NULL;
    pthread_mutex_lock(&self->lock);
    struct item **place = shard_find(self, item_key(fresh), fresh->hash, now, &dropped);
    enum store_result result = mode_allows(mode, *place, unique);
    if (result == STORE_STORED) {
        if (*place)
            shard_unlink(self, place, &dropped);
        shard_insert(self, fresh, now, &dropped);
    }
    shard_unlock(self, dropped);
    return result;
}

enum store_result shard_swap(struct shard *self, const struct item *old, struct item *fresh, int64_t now)
{
    if (item_footprint(fresh) > self->limit)
        return STORE_TOO_LARGE;
    struct item *dropped = NULL;
    pthread_mutex_lock(&self->lock);
    struct item **place = shard_find(self, item_key(old), old->hash, now, &dropped);
    enum store_result result = *place == old ? STORE_STORED : STORE_EXISTS;
    if (result == STORE_STORED) {
        fresh->expires = old->expires;
        shard_unlink(self, place, &dropped);
        shard_insert(self, fresh, now, &dropped);
    }
    shard_unlock(self, dropped);
    return result;
}

bool shard_delete(struct shard *self, struct slice key, uint64_t hash, int64_t now)
{
    struct item *dropped = NULL;
    pthread_mutex_lock(&self->lock);
    struct item **place = shard_find(self, key, hash, now, &dropped);
    bool found = *place != NULL;
    if (found)
        shard_unlink(self, place, &dropped);
    shard_unlock(self, dropped);
    return found;
}

bool shard_touch(struct shard *self, struct slice key, uint64_t hash, int64_t expires, int64_t now)
{
    struct item *dropped = NULL;
    pthread_mutex_lock(&self->lock);
    struct item *item = *shard_find(self, key, hash, now, &dropped);
    if (item) {
        item->expires = expires;
        shard_renew(self, item, now);
    }
    shard_unlock(self, dropped);
    return item != NULL;
}

// A cleared shard needs no more buckets than a new one; if there is no memory for those it keeps the old.
static void shard_shrink(struct shard *self)
{
    struct item **buckets = calloc(FIRST_BUCKETS, sizeof *buckets);
    if (!buckets)
        return;
    free(self->buckets);
    self->buckets = buckets;
    self->bucket_count = FIRST_BUCKETS;
}

void shard_clear(struct shard *self)
{
    struct item *dropped = NULL;
    pthread_mutex_lock(&self->lock);
    while (self->oldest)
        shard_unlink(self, shard_place_of(self, self->oldest), &dropped);
    if (self->bucket_count > FIRST_BUCKETS)
        shard_shrink(self);
    shard_unlock(self, dropped);
}

static void shard_sweep_bucket(struct shard *self, struct item **place, int64_t now, struct item **dropped)
{
    while (*place) {
        if ((*place)->expires <= now) {
            shard_unlink(self, place, dropped);
            self->totals.expired++;
        } else {
            place = &(*place)->chain;
        }
    }
}

void shard_sweep(struct shard *self, size_t parts, int64_t now)
{
    struct item *dropped = NULL;
    pthread_mutex_lock(&self->lock);
    size_t share = self->bucket_count / parts + 1;
    for (size_t i = 0; i < share; i++) {
        self->sweep_at = (self->sweep_at + 1) & (self->bucket_count - 1);
        shard_sweep_bucket(self, &self->buckets[self->sweep_at], now, &dropped);
    }
    shard_unlock(self, dropped);
}

void shard_add_totals(struct shard *self, struct shard_totals *sum)
{
    pthread_mutex_lock(&self->lock);
    sum->items += self->totals.items;
    sum->bytes += self->totals.bytes;
    sum->stored += self->totals.stored;
    sum->evicted += self->totals.evicted;
    sum->expired += self->totals.expired;
    pthread_mutex_unlock(&self->lock);
}
