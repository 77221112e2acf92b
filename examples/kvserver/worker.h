// SPDX-License-Identifier: MIT
// A thread that serves a share of the connections.
// worker_give may be called by any thread; start and stop by the one that owns the server; the rest is the
// worker's own.
#ifndef KVSERVER_WORKER_H
#define KVSERVER_WORKER_H

#include <pthread.h>

#include "kvserver/connection.h"
#include "kvserver/counters.h"
#include "kvserver/store.h"

struct server;

struct worker {
    _Alignas(64) struct server *server;
    struct store *store;
    pthread_t thread;
    int epoll, wake;
    int64_t now;                    // read once for every round of events; the worker's own
    struct connection *connections; // the worker's own
    struct counters counters;
    atomic_uint connection_count; // written by the worker alone
    pthread_mutex_t inbox_lock;
    struct connection *inbox; // guarded by inbox_lock
    bool stop;                // guarded by inbox_lock
};

bool worker_start(struct worker *self, struct server *server, struct store *store);

// Hands a new connection over to the worker.
void worker_give(struct worker *self, struct connection *connection);

// Ends the thread and closes its connections.
void worker_stop(struct worker *self);

#endif
