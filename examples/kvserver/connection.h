// SPDX-License-Identifier: MIT
// One client: its socket, the command being read, the value being received, the answers being sent.
// Owned by one thread at a time: by whoever accepts it, then by its worker.
#ifndef KVSERVER_CONNECTION_H
#define KVSERVER_CONNECTION_H

#include "common/buffer.h"
#include "kvserver/output.h"
#include "kvserver/shard.h"

struct worker;

// How the value being received goes into the store.
enum upload_kind { UPLOAD_PUT, UPLOAD_APPEND, UPLOAD_PREPEND };

struct upload {
    struct item *item; // NULL when no value is being received
    size_t missing;    // bytes of value and line end still to come
    enum upload_kind kind;
    enum store_mode mode;
    uint64_t unique;
};

struct connection {
    struct worker *worker;
    struct connection *next, *previous; // in the worker's list
    int fd;
    uint32_t wants;   // the epoll events it waits for
    uint32_t watched; // those epoll has been told of
    bool quiet;       // the command at hand says noreply
    bool closing;     // ends when its answers are sent
    bool drained;     // the socket had nothing more at the last read
    size_t to_skip;   // bytes of a refused value still to come
    struct buffer in;
    struct upload upload;
    struct output out;
};

// NULL without memory.
struct connection *connection_new(int fd);
void connection_free(struct connection *self);

// Reads, answers and sends as far as it goes without waiting; false when the connection is over.
bool connection_run(struct connection *self);

// Answers the command at hand, unless it is quiet.
void connection_reply(struct connection *self, struct slice text);
#define REPLY(self, literal) connection_reply(self, SLICE(literal "\r\n"))

#endif
