// SPDX-License-Identifier: MIT
#include "kvserver/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    FIRST_PIECES = 16,
    KEPT_PIECES = 256,
    FULL_PIECES = 1024,
    FULL_BYTES = 1024 * 1024,
    PIECES_AT_ONCE = 64,
};

static void piece_release(struct piece *self)
{
    if (self->item)
        item_release(self->item);
    free(self->text);
}

static void output_reset(struct output *self)
{
    self->first = self->count = 0;
    if (self->capacity <= KEPT_PIECES)
        return;
    free(self->pieces);
    self->pieces = NULL;
    self->capacity = 0;
}

void output_free(struct output *self)
{
    for (size_t i = self->first; i < self->count; i++)
        piece_release(&self->pieces[i]);
    free(self->pieces);
}

static bool output_grow(struct output *self)
{
    size_t capacity = self->capacity ? self->capacity * 2 : FIRST_PIECES;
    struct piece *pieces = reallocarray(self->pieces, capacity, sizeof *pieces);
    if (!pieces)
        return false;
    self->pieces = pieces;
    self->capacity = capacity;
    return true;
}

static void output_push(struct output *self, struct piece piece)
{
    if (self->count == self->capacity && !output_grow(self)) {
        self->failed = true;
        piece_release(&piece);
        return;
    }
    self->pieces[self->count++] = piece;
    self->bytes += piece.length;
}

void output_constant(struct output *self, struct slice text)
{
    output_push(self, (struct piece){.data = text.data, .length = text.length});
}

void output_format(struct output *self, const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        self->failed = true;
    else
        output_push(self, (struct piece){.data = text, .length = (size_t)length, .text = text});
}

void output_item(struct output *self, struct item *item, struct slice part)
{
    output_push(self, (struct piece){.data = part.data, .length = part.length, .item = item});
}

bool output_is_full(const struct output *self)
{
    return self->bytes >= FULL_BYTES || self->count - self->first >= FULL_PIECES;
}

static void output_advance(struct output *self, size_t sent)
{
    self->bytes -= sent;
    while (self->first < self->count && sent >= self->pieces[self->first].length) {
        sent -= self->pieces[self->first].length;
        piece_release(&self->pieces[self->first++]);
    }
    if (self->first == self->count) {
        output_reset(self);
        return;
    }
    self->pieces[self->first].data += sent;
    self->pieces[self->first].length -= sent;
}

static ssize_t output_send(const struct output *self, int fd)
{
    struct iovec parts[PIECES_AT_ONCE];
    size_t waiting = self->count - self->first;
    size_t count = waiting < PIECES_AT_ONCE ? waiting : PIECES_AT_ONCE;
    for (size_t i = 0; i < count; i++) {
        const struct piece *piece = &self->pieces[self->first + i];
        parts[i] = (struct iovec){(void *)(uintptr_t)piece->data, piece->length};
    }
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

enum output_state output_flush(struct output *self, int fd, uint64_t *sent)
{
    while (self->first < self->count) {
        ssize_t length = output_send(self, fd);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? OUTPUT_BLOCKED : OUTPUT_BROKEN;
        *sent += (uint64_t)length;
        output_advance(self, (size_t)length);
    }
    return self->failed ? OUTPUT_BROKEN : OUTPUT_SENT;
}
