// SPDX-License-Identifier: MIT
// The commands of the memcached text protocol, answered on a connection.
// Called by the thread that owns the connection.
#ifndef KVSERVER_COMMANDS_H
#define KVSERVER_COMMANDS_H

#include "kvserver/connection.h"

enum { REQUEST_WORDS = 8 };

// A command line; count goes on beyond the words that are kept.
struct request {
    struct slice words[REQUEST_WORDS];
    size_t count;
    struct slice after_name; // for commands that take any number of keys
};

typedef void command_function(struct connection *self, const struct request *request);

// Answers the command in `line`; one that is followed by a value only prepares the connection to receive it.
void commands_run(struct connection *self, struct slice line);

// Stores the value that has been received and answers the command it came with.
void commands_finish_upload(struct connection *self);

// retrieval.c
command_function command_get, command_gets, command_touch, command_delete;
// storage.c
command_function command_set, command_add, command_replace, command_append, command_prepend, command_cas;
command_function command_incr, command_decr;
// administration.c
command_function command_stats, command_version, command_verbosity, command_flush_all, command_quit;

// Answers false, and the client, when the key is too long.
bool commands_check_key(struct connection *self, struct slice key);

// The moment (on the server's clock) that the protocol's expiry time means: seconds from now, or since 1970.
int64_t commands_expiry(const struct connection *self, int64_t seconds);

#endif
