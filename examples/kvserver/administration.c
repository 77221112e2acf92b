// SPDX-License-Identifier: MIT
// Commands about the server itself: stats, version, verbosity, flush_all, quit.
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "kvserver/allocator.h"
#include "kvserver/commands.h"
#include "kvserver/server.h"

static void stat_number(struct connection *self, const char *name, uint64_t value)
{
    output_format(&self->out, "STAT %s %" PRIu64 "\r\n", name, value);
}

static void stats_process(struct connection *self, const struct server *server)
{
    stat_number(self, "pid", (uint64_t)getpid());
    stat_number(self, "uptime", (uint64_t)(self->worker->now - server->started) / 1000);
    stat_number(self, "time", (uint64_t)time(NULL));
    output_format(&self->out, "STAT version %s\r\n", SERVER_VERSION);
    output_format(&self->out, "STAT allocator %s\r\n", allocator_name());
    stat_number(self, "threads", server->options.threads);
    stat_number(self, "curr_connections", server_connections(server));
    stat_number(self, "total_connections", server_accepted(server));
}

#define COUNTER_NAME(name) #name,
static const char *const COUNTER_NAMES[] = {COUNTERS(COUNTER_NAME)};
#undef COUNTER_NAME

static void stats_counters(struct connection *self, const struct server *server)
{
    for (unsigned which = 0; which < COUNTER_COUNT; which++)
        stat_number(self, COUNTER_NAMES[which], server_count(server, which));
}

static void stats_store(struct connection *self, struct server *server)
{
    struct shard_totals totals = store_totals(&server->store);
    stat_number(self, "limit_maxbytes", server->options.memory);
    stat_number(self, "bytes", totals.bytes);
    stat_number(self, "curr_items", totals.items);
    stat_number(self, "total_items", totals.stored);
    stat_number(self, "evictions", totals.evicted);
    stat_number(self, "expired", totals.expired);
}

void command_stats(struct connection *self, const struct request *request)
{
    struct server *server = self->worker->server;
    if (request->count > 1) {
        REPLY(self, "ERROR");
        return;
    }
    stats_process(self, server);
    stats_counters(self, server);
    stats_store(self, server);
    REPLY(self, "END");
}

void command_version(struct connection *self, const struct request *request)
{
    (void)request;
    REPLY(self, "VERSION " SERVER_VERSION);
}

void command_verbosity(struct connection *self, const struct request *request)
{
    uint32_t level;
    if (!slice_to_uint32(request->words[1], &level))
        REPLY(self, "CLIENT_ERROR bad command line format");
    else {
        server_set_verbosity(self->worker->server, level);
        REPLY(self, "OK");
    }
}

void command_flush_all(struct connection *self, const struct request *request)
{
    struct worker *worker = self->worker;
    bool has_delay = request->count > (self->quiet ? 2u : 1u);
    int64_t seconds = 0;
    if (has_delay && !slice_to_int64(request->words[1], &seconds)) {
        REPLY(self, "CLIENT_ERROR invalid exptime argument");
        return;
    }
    if (seconds > 0)
        store_clear_later(worker->store, commands_expiry(self, seconds));
    else
        store_clear(worker->store);
    counters_add(&worker->counters, COUNT_cmd_flush, 1);
    REPLY(self, "OK");
}

void command_quit(struct connection *self, const struct request *request)
{
    (void)request;
    self->closing = true;
}
