// SPDX-License-Identifier: MIT
// The whole server: the store, the workers, and the socket where clients arrive.
// server_run and what it calls belong to one thread; the functions on a const server may be called by any
// worker.
#ifndef KVSERVER_SERVER_H
#define KVSERVER_SERVER_H

#include "kvserver/options.h"
#include "kvserver/store.h"
#include "kvserver/worker.h"

#define SERVER_VERSION "1.0.0-tarn-example"

struct server {
    struct options options;
    struct store store;
    struct worker *workers;
    int listener;
    int signals;
    int64_t started;
    _Atomic uint64_t accepted; // written by the accepting thread alone
    atomic_uint verbosity;
};

// Serves until SIGTERM or SIGINT; returns the process's exit status.
int server_run(struct server *self);

uint64_t server_connections(const struct server *self);
uint64_t server_accepted(const struct server *self);
uint64_t server_count(const struct server *self, enum counter which);
void server_set_verbosity(struct server *self, unsigned level);

#endif
