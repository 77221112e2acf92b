// SPDX-License-Identifier: MIT
#include "kvserver/item.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "VALUE "
enum { PREFIX_LENGTH = sizeof PREFIX - 1, LINE_END = 2 };

uint64_t item_hash(struct slice key)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < key.length; i++)
        hash = (hash ^ (unsigned char)key.data[i]) * UINT64_C(0x100000001b3);
    // The multiplication only carries upwards; shards and buckets are chosen by bits of both ends.
    return hash ^ hash >> 32;
}

static void item_write_frame(struct item *self, struct slice key, struct slice tail)
{
    char *at = mempcpy(self->wire, PREFIX, PREFIX_LENGTH);
    at = mempcpy(at, key.data, key.length);
    memcpy(at, tail.data, tail.length);
    memcpy(item_value_space(self) + self->value_length, "\r\n", LINE_END);
}

struct item *item_new(struct slice key, uint32_t flags, int64_t expires, size_t value_length)
{
    char tail[40];
    size_t tail_length = (size_t)snprintf(tail, sizeof tail, " %" PRIu32 " %zu\r\n", flags, value_length);
    size_t header = PREFIX_LENGTH + key.length + tail_length;
    struct item *self = malloc(sizeof *self + header + value_length + LINE_END);
    if (!self)
        return NULL;
    *self = (struct item){.expires = expires,
                          .hash = item_hash(key),
                          .flags = flags,
                          .key_length = (uint32_t)key.length,
                          .header_length = (uint32_t)header,
                          .value_length = (uint32_t)value_length};
    atomic_init(&self->holds, 1);
    item_write_frame(self, key, (struct slice){tail, tail_length});
    return self;
}

void item_hold(struct item *self)
{
    // Relaxed: whoever takes a hold has one already or has the shard's lock, so the item cannot go away.
    atomic_fetch_add_explicit(&self->holds, 1, memory_order_relaxed);
}

void item_release(struct item *self)
{
    // Release orders this thread's reads before the free; acquire lets the freeing thread see that.
    if (atomic_fetch_sub_explicit(&self->holds, 1, memory_order_acq_rel) == 1)
        free(self);
}

void item_release_list(struct item *first)
{
    while (first) {
        struct item *next = first->chain;
        item_release(first);
        first = next;
    }
}

struct slice item_key(const struct item *self)
{
    return (struct slice){self->wire + PREFIX_LENGTH, self->key_length};
}

struct slice item_value(const struct item *self)
{
    return (struct slice){self->wire + self->header_length, self->value_length};
}

struct slice item_wire(const struct item *self)
{
    return (struct slice){self->wire, (size_t)self->header_length + self->value_length + LINE_END};
}

char *item_value_space(struct item *self) { return self->wire + self->header_length; }

size_t item_footprint(const struct item *self) { return sizeof *self + item_wire(self).length; }
