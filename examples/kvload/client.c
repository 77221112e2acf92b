// SPDX-License-Identifier: MIT
#include "kvload/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kvload/payload.h"

enum { LINE_ROOM = 128, READ_ROOM = 16 * 1024, KEPT_BUFFER = 64 * 1024 };

static int connect_to(const struct options *options)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(options->port)};
    int yes = 1;
    if (inet_pton(AF_INET, options->address, &where.sin_addr) != 1)
        return -1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(fd, (struct sockaddr *)&where, sizeof where) == 0)
        return fd;
    close(fd);
    return -1;
}

bool client_open(struct client *self, struct workload *workload)
{
    const struct options *options = workload->options;
    *self = (struct client){.workload = workload, .fd = connect_to(options)};
    self->requests = calloc(options->depth, sizeof *self->requests);
    if (self->fd >= 0 && self->requests)
        return true;
    fprintf(stderr, "kvload: cannot connect to %s:%u: %s\n", options->address, options->port,
            strerror(errno));
    return false;
}

void client_close(struct client *self)
{
    if (self->fd >= 0)
        close(self->fd);
    free(self->requests);
    buffer_free(&self->in);
    buffer_free(&self->out);
}

static void out_of_memory(void)
{
    fprintf(stderr, "kvload: out of memory\n");
    exit(EXIT_FAILURE);
}

static char *client_room(struct client *self, size_t room)
{
    char *space = buffer_reserve(&self->out, room);
    if (!space)
        out_of_memory();
    return space;
}

static void client_write_set(struct client *self, uint32_t key, const char *text)
{
    struct workload *load = self->workload;
    uint32_t length = mixture_draw(&load->options->sizes, &load->random);
    char *space = client_room(self, LINE_ROOM + length);
    size_t header = (size_t)snprintf(space, LINE_ROOM, "set %s 0 0 %" PRIu32 "\r\n", text, length);
    payload_write(space + header, length, key, load->next_version++);
    memcpy(space + header + length, "\r\n", 2);
    buffer_commit(&self->out, header + length + 2);
    tally_add(&load->tally, TALLY_SETS, 1);
}

static void client_write_line(struct client *self, const char *command, const char *text,
                              enum tally_kind kind)
{
    char *space = client_room(self, LINE_ROOM);
    buffer_commit(&self->out, (size_t)snprintf(space, LINE_ROOM, "%s %s\r\n", command, text));
    tally_add(&self->workload->tally, kind, 1);
}

static enum request_kind draw_kind(const struct options *options, struct random *random)
{
    uint32_t total = options->get_weight + options->set_weight + options->delete_weight;
    uint64_t draw = random_next(random) % total;
    if (draw < options->get_weight)
        return REQUEST_GET;
    return draw < options->get_weight + options->set_weight ? REQUEST_SET : REQUEST_DELETE;
}

// A miss is followed by a set of the same key, as in a program that uses a cache.
static struct request client_choose(struct client *self)
{
    struct workload *load = self->workload;
    struct request request = {.kind = REQUEST_SET, .key = self->missed_key, .start = load->now};
    if (!self->missed) {
        request.kind = draw_kind(load->options, &load->random);
        request.key = popularity_draw(&load->popularity, &load->random);
    }
    self->missed = false;
    return request;
}

static void client_ask(struct client *self)
{
    struct request request = client_choose(self);
    char text[PAYLOAD_KEY_MAX];
    payload_key(text, request.key);
    if (request.kind == REQUEST_SET)
        client_write_set(self, request.key, text);
    else if (request.kind == REQUEST_GET)
        client_write_line(self, "get", text, TALLY_GETS);
    else
        client_write_line(self, "delete", text, TALLY_DELETES);
    self->requests[self->asked++ % self->workload->options->depth] = request;
}

static void client_fill(struct client *self)
{
    const struct workload *load = self->workload;
    while (!load->ending && self->asked - self->answered < load->options->depth)
        client_ask(self);
}

static void client_settle(struct client *self, const struct request *request)
{
    struct workload *load = self->workload;
    if (load->measuring)
        histogram_record(&load->latency, (uint64_t)(load->now - request->start));
    tally_add(&load->tally, TALLY_REQUESTS, 1);
    self->answered++;
}

// The first few are shown: they say more than their number.
static void client_complain(struct client *self, enum tally_kind kind, const char *what, struct slice answer)
{
    enum { SHOWN = 5 };
    if (tally_get(&self->workload->tally, kind) < SHOWN)
        fprintf(stderr, "kvload: %s%.*s\n", what, (int)(answer.length < 200 ? answer.length : 200),
                answer.data);
    tally_add(&self->workload->tally, kind, 1);
}

static void client_complain_payload(struct client *self, uint32_t key, size_t length, size_t wrong)
{
    char text[120];
    int n = snprintf(text, sizeof text, "key %" PRIu32 ", byte %zu of %zu", key, wrong, length);
    client_complain(self, TALLY_PAYLOAD_ERRORS, "wrong byte in a value: ", (struct slice){text, (size_t)n});
}

static bool slice_begins(struct slice text, struct slice start)
{
    return text.length >= start.length && memcmp(text.data, start.data, start.length) == 0;
}

// VALUE <key> <flags> <length>
static bool value_header_parse(struct slice line, uint32_t key, uint64_t *length)
{
    char text[PAYLOAD_KEY_MAX];
    struct slice expected = {text, payload_key(text, key)};
    struct slice word = slice_take_word(&line), name = slice_take_word(&line), flags = slice_take_word(&line);
    (void)word;
    return slice_equal(name, expected) && slice_equal(flags, SLICE("0")) &&
           slice_to_uint64(slice_take_word(&line), length) && *length <= MIXTURE_LARGEST;
}

// Returns the bytes of the answer, or 0 when it is not all here yet.
static size_t client_take_value(struct client *self, const struct request *request, struct slice line)
{
    struct slice here = buffer_view(&self->in), tail = SLICE("\r\nEND\r\n");
    uint64_t length;
    if (!value_header_parse(line, request->key, &length)) {
        client_complain(self, TALLY_PAYLOAD_ERRORS, "not the value that was asked for: ", line);
        return SIZE_MAX;
    }
    size_t header = line.length + 2, whole = header + length + tail.length;
    if (here.length < whole)
        return 0;
    size_t right = payload_check(here.data + header, length, request->key);
    if (right != length)
        client_complain_payload(self, request->key, length, right);
    if (memcmp(here.data + header + length, tail.data, tail.length) != 0)
        client_complain(self, TALLY_PAYLOAD_ERRORS, "a value does not end where it should: ", line);
    tally_add(&self->workload->tally, TALLY_HITS, 1);
    return whole;
}

static size_t client_take_get(struct client *self, const struct request *request, struct slice line)
{
    if (slice_begins(line, SLICE("VALUE ")))
        return client_take_value(self, request, line);
    if (slice_equal(line, SLICE("END"))) {
        self->missed = true;
        self->missed_key = request->key;
    } else {
        client_complain(self, TALLY_ERRORS, "bad answer to get: ", line);
    }
    return line.length + 2;
}

static size_t client_take_line(struct client *self, const struct request *request, struct slice line)
{
    bool fine = request->kind == REQUEST_SET
                    ? slice_equal(line, SLICE("STORED"))
                    : slice_equal(line, SLICE("DELETED")) || slice_equal(line, SLICE("NOT_FOUND"));
    if (!fine)
        client_complain(
            self, TALLY_ERRORS,
            request->kind == REQUEST_SET ? "bad answer to set: " : "bad answer to delete: ", line);
    return line.length + 2;
}

// Returns the bytes of the next answer, 0 when it is not all here, SIZE_MAX when the stream makes no sense
// any more.
static size_t client_take_answer(struct client *self)
{
    struct slice here = buffer_view(&self->in);
    const struct request *request = &self->requests[self->answered % self->workload->options->depth];
    const char *end = here.length ? memchr(here.data, '\n', here.length) : NULL;
    if (!end || end == here.data)
        return end ? SIZE_MAX : 0;
    struct slice line = {here.data, (size_t)(end - here.data) - 1};
    size_t taken = request->kind == REQUEST_GET ? client_take_get(self, request, line)
                                                : client_take_line(self, request, line);
    if (taken > 0 && taken != SIZE_MAX)
        client_settle(self, request);
    return taken;
}

static bool client_parse(struct client *self)
{
    while (self->answered < self->asked) {
        size_t taken = client_take_answer(self);
        if (taken == 0)
            return true;
        if (taken == SIZE_MAX)
            return false;
        buffer_consume(&self->in, taken);
    }
    return buffer_view(&self->in).length == 0;
}

static bool would_block(void) { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

static bool client_receive(struct client *self)
{
    char *space = buffer_reserve(&self->in, READ_ROOM);
    if (!space)
        out_of_memory();
    ssize_t length = recv(self->fd, space, buffer_room(&self->in), MSG_DONTWAIT);
    if (length <= 0)
        return length < 0 && would_block();
    buffer_commit(&self->in, (size_t)length);
    tally_add(&self->workload->tally, TALLY_BYTES_RECEIVED, (uint64_t)length);
    bool fine = client_parse(self);
    buffer_trim(&self->in, KEPT_BUFFER);
    return fine;
}

static bool client_send(struct client *self)
{
    struct slice waiting = buffer_view(&self->out);
    if (waiting.length == 0)
        return true;
    ssize_t length = send(self->fd, waiting.data, waiting.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (length < 0)
        return would_block();
    buffer_consume(&self->out, (size_t)length);
    buffer_trim(&self->out, KEPT_BUFFER);
    tally_add(&self->workload->tally, TALLY_BYTES_SENT, (uint64_t)length);
    return true;
}

bool client_run(struct client *self)
{
    bool fine = client_receive(self);
    if (fine) {
        client_fill(self);
        fine = client_send(self);
    }
    if (!fine)
        client_complain(self, TALLY_ERRORS, "connection lost", SLICE(""));
    return fine;
}

uint32_t client_wants(const struct client *self)
{
    return buffer_view(&self->out).length > 0 ? (uint32_t)EPOLLIN | (uint32_t)EPOLLOUT : (uint32_t)EPOLLIN;
}

bool client_is_idle(const struct client *self) { return self->asked == self->answered; }
