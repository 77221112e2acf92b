// SPDX-License-Identifier: MIT
// One stored value, kept as the very bytes that answer a get: VALUE <key> <flags> <length>\r\n<value>\r\n
// Any thread that holds an item may read it and release it; its text never changes once it is in the store.
#ifndef KVSERVER_ITEM_H
#define KVSERVER_ITEM_H

#include <stdatomic.h>
#include <stdint.h>

#include "common/slice.h"

enum {
    ITEM_KEY_MAX = 250,
    ITEM_VALUE_MAX = 1024 * 1024,
};

#define ITEM_NEVER_EXPIRES INT64_MAX

struct item {
    struct item *chain;         // next in its bucket; guarded by the shard's lock
    struct item *newer, *older; // order of use; guarded by the shard's lock
    int64_t used;               // when it was last moved to the newest end; guarded by the shard's lock
    int64_t expires;            // in milliseconds of the server's clock; guarded by the shard's lock
    uint64_t unique;            // what gets tells and cas compares; set once, before the item is shared
    uint64_t hash;              // of the key; constant
    atomic_uint holds;          // one for the store, one for each thread that is using the item
    uint32_t flags;             // the client's own; constant
    uint32_t key_length;        // constant
    uint32_t header_length;     // up to and including the first line end; constant
    uint32_t value_length;      // without the line end; constant
    char wire[];
};

uint64_t item_hash(struct slice key);

// The caller holds the new item, and writes its value; NULL without memory.
struct item *item_new(struct slice key, uint32_t flags, int64_t expires, size_t value_length);

void item_hold(struct item *self);

// Frees the item when nobody holds it any more.
void item_release(struct item *self);

// Releases every item of a list linked by `chain`.
void item_release_list(struct item *first);

struct slice item_key(const struct item *self);
struct slice item_value(const struct item *self);
struct slice item_wire(const struct item *self);

// Where the value is written before the item is shared; a line end follows it.
char *item_value_space(struct item *self);

// What the item counts for against the memory bound.
size_t item_footprint(const struct item *self);

#endif
