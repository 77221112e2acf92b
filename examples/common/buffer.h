// SPDX-License-Identifier: MIT
// A growing byte queue: bytes are added at its end and consumed from its start.
// Owned by one thread at a time.
#ifndef COMMON_BUFFER_H
#define COMMON_BUFFER_H

#include "common/slice.h"

// data[start, end) is waiting to be consumed; start <= end <= capacity. All zeros is an empty buffer.
struct buffer {
    char *data;
    size_t start, end, capacity;
};

void buffer_free(struct buffer *self);

// What waits to be consumed; valid until the buffer is next changed.
struct slice buffer_view(const struct buffer *self);

void buffer_consume(struct buffer *self, size_t length);

// Makes at least `room` free bytes at the end and returns where they begin, or NULL without memory.
char *buffer_reserve(struct buffer *self, size_t room);

// Free bytes at the end, all of which may be written.
size_t buffer_room(const struct buffer *self);

// Declares that `length` of the reserved bytes have been written.
void buffer_commit(struct buffer *self, size_t length);

// Gives the memory back when the buffer is empty and has grown beyond `keep` bytes.
void buffer_trim(struct buffer *self, size_t keep);

#endif
