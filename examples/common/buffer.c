// SPDX-License-Identifier: MIT
#include "common/buffer.h"

#include <stdlib.h>
#include <string.h>

enum { SMALLEST = 16 * 1024 };

void buffer_free(struct buffer *self)
{
    free(self->data);
    *self = (struct buffer){0};
}

struct slice buffer_view(const struct buffer *self)
{
    return (struct slice){self->data + self->start, self->end - self->start};
}

void buffer_consume(struct buffer *self, size_t length)
{
    self->start += length;
    if (self->start == self->end)
        self->start = self->end = 0;
}

static void buffer_slide(struct buffer *self)
{
    if (self->start == 0)
        return;
    memmove(self->data, self->data + self->start, self->end - self->start);
    self->end -= self->start;
    self->start = 0;
}

static bool buffer_grow(struct buffer *self, size_t needed)
{
    size_t capacity = self->capacity > SMALLEST ? self->capacity : SMALLEST;
    while (capacity < needed)
        capacity *= 2;
    char *data = realloc(self->data, capacity);
    if (!data)
        return false;
    self->data = data;
    self->capacity = capacity;
    return true;
}

char *buffer_reserve(struct buffer *self, size_t room)
{
    if (buffer_room(self) < room)
        buffer_slide(self);
    if (buffer_room(self) < room && !buffer_grow(self, self->end + room))
        return NULL;
    return self->data + self->end;
}

size_t buffer_room(const struct buffer *self) { return self->capacity - self->end; }

void buffer_commit(struct buffer *self, size_t length) { self->end += length; }

void buffer_trim(struct buffer *self, size_t keep)
{
    if (self->end == 0 && self->capacity > keep)
        buffer_free(self);
}
