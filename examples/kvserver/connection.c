// SPDX-License-Identifier: MIT
#include "kvserver/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kvserver/commands.h"
#include "kvserver/worker.h"

enum {
    READ_ROOM = 4 * 1024,
    KEPT_BUFFER = 16 * 1024,
    LINE_MAX_LENGTH = 1024 * 1024,
    TURNS = 8, // reads in a row before the other connections of the worker get theirs
};

enum step { STEP_ON, STEP_WAIT, STEP_OVER };

struct connection *connection_new(int fd)
{
    struct connection *self = malloc(sizeof *self);
    if (self)
        *self = (struct connection){.fd = fd, .wants = EPOLLIN};
    return self;
}

void connection_free(struct connection *self)
{
    close(self->fd);
    if (self->upload.item)
        item_release(self->upload.item);
    buffer_free(&self->in);
    output_free(&self->out);
    free(self);
}

void connection_reply(struct connection *self, struct slice text)
{
    if (!self->quiet)
        output_constant(&self->out, text);
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

// The value's bytes that came in with the command line; the rest is read straight into the item.
static bool connection_fill_upload(struct connection *self)
{
    struct upload *upload = &self->upload;
    struct slice here = buffer_view(&self->in), wire = item_wire(upload->item);
    size_t length = least(upload->missing, here.length);
    if (length > 0)
        memcpy(upload->item->wire + wire.length - upload->missing, here.data, length);
    buffer_consume(&self->in, length);
    upload->missing -= length;
    if (upload->missing > 0)
        return false;
    commands_finish_upload(self);
    return true;
}

static bool connection_skip(struct connection *self)
{
    size_t length = least(self->to_skip, buffer_view(&self->in).length);
    buffer_consume(&self->in, length);
    self->to_skip -= length;
    return self->to_skip == 0;
}

static bool connection_refuse_endless_line(struct connection *self, size_t length)
{
    if (length < LINE_MAX_LENGTH)
        return false;
    self->quiet = false;
    REPLY(self, "CLIENT_ERROR line too long");
    self->closing = true;
    return true;
}

static bool connection_run_line(struct connection *self)
{
    struct slice here = buffer_view(&self->in);
    const char *end = here.length ? memchr(here.data, '\n', here.length) : NULL;
    if (!end)
        return connection_refuse_endless_line(self, here.length);
    struct slice line = {here.data, (size_t)(end - here.data)};
    if (line.length > 0 && line.data[line.length - 1] == '\r')
        line.length--;
    self->quiet = false;
    commands_run(self, line);
    buffer_consume(&self->in, (size_t)(end - here.data) + 1);
    return true;
}

// False when more input is needed first.
static bool connection_advance(struct connection *self)
{
    if (self->to_skip > 0)
        return connection_skip(self);
    if (self->upload.item)
        return connection_fill_upload(self);
    return connection_run_line(self);
}

// True when it stopped because the answers have to be sent first.
static bool connection_parse(struct connection *self)
{
    while (!self->closing && !output_is_full(&self->out)) {
        if (!connection_advance(self))
            return false;
    }
    return !self->closing;
}

static enum output_state connection_flush(struct connection *self)
{
    uint64_t sent = 0;
    enum output_state state = output_flush(&self->out, self->fd, &sent);
    counters_add(&self->worker->counters, COUNT_bytes_written, sent);
    return state;
}

static enum step connection_answer(struct connection *self)
{
    bool more;
    do {
        more = connection_parse(self);
        enum output_state state = connection_flush(self);
        self->wants = state == OUTPUT_BLOCKED ? EPOLLOUT : EPOLLIN;
        if (state != OUTPUT_SENT)
            return state == OUTPUT_BLOCKED ? STEP_WAIT : STEP_OVER;
    } while (more);
    buffer_trim(&self->in, KEPT_BUFFER);
    return self->closing ? STEP_OVER : STEP_ON;
}

static void connection_took(struct connection *self, size_t length)
{
    size_t into_item = self->upload.item ? least(length, self->upload.missing) : 0;
    self->upload.missing -= into_item;
    buffer_commit(&self->in, length - into_item);
    counters_add(&self->worker->counters, COUNT_bytes_read, length);
}

// The buffer holds nothing while a value is being received, so what comes first belongs to the value.
static enum step connection_receive(struct connection *self)
{
    char *space = buffer_reserve(&self->in, READ_ROOM);
    if (!space)
        return STEP_OVER;
    struct item *item = self->upload.item;
    size_t missing = item ? self->upload.missing : 0;
    char *value = item ? item->wire + item_wire(item).length - missing : NULL;
    struct iovec parts[2] = {{value, missing}, {space, buffer_room(&self->in)}};
    ssize_t length = readv(self->fd, parts, 2);
    if (length < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? STEP_WAIT : STEP_OVER;
    if (length == 0)
        return STEP_OVER;
    self->drained = (size_t)length < missing + parts[1].iov_len;
    connection_took(self, (size_t)length);
    return STEP_ON;
}

static enum step connection_turn(struct connection *self)
{
    if (self->wants == EPOLLIN) {
        enum step step = connection_receive(self);
        if (step != STEP_ON)
            return step;
    }
    enum step step = connection_answer(self);
    return step == STEP_ON && self->drained ? STEP_WAIT : step;
}

bool connection_run(struct connection *self)
{
    enum step step = STEP_ON;
    for (int turn = 0; turn < TURNS && step == STEP_ON; turn++)
        step = connection_turn(self);
    return step != STEP_OVER;
}
