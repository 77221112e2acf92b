// SPDX-License-Identifier: MIT
// One connection: keeps a number of requests under way, checks the answers and times them.
// Owned by one thread.
#ifndef KVLOAD_CLIENT_H
#define KVLOAD_CLIENT_H

#include "common/buffer.h"
#include "kvload/histogram.h"
#include "kvload/options.h"
#include "kvload/popularity.h"
#include "kvload/tally.h"

enum request_kind { REQUEST_GET, REQUEST_SET, REQUEST_DELETE };

struct request {
    enum request_kind kind;
    uint32_t key;
    int64_t start;
};

// What the clients of one thread share.
struct workload {
    const struct options *options;
    struct popularity popularity;
    struct random random;
    uint64_t next_version;
    int64_t now;
    bool measuring; // latencies count
    bool ending;    // no more requests
    struct tally tally;
    struct histogram latency;
};

// A ring of requests: asked - answered of them are under way, never more than the depth.
struct client {
    struct workload *workload;
    struct request *requests;
    uint64_t asked, answered;
    uint32_t missed_key; // a get found nothing: this key is set next
    bool missed;
    int fd;
    uint32_t watched; // what epoll has been told
    struct buffer in, out;
};

// False, after a line on stderr, when there is no connection.
bool client_open(struct client *self, struct workload *workload);
void client_close(struct client *self);

// Asks, sends and reads as far as it goes without waiting; false when the connection is over.
bool client_run(struct client *self);

// The epoll events it waits for.
uint32_t client_wants(const struct client *self);

bool client_is_idle(const struct client *self);

#endif
