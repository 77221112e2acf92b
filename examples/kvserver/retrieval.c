// SPDX-License-Identifier: MIT
// Commands that look items up, or end them: get, gets, touch, delete.
#include <inttypes.h>

#include "kvserver/commands.h"
#include "kvserver/worker.h"

static void send_whole(struct connection *self, struct item *item)
{
    output_item(&self->out, item, item_wire(item));
}

// The unique number goes between the item's first line and its end, so the item is sent in two parts.
static void send_with_unique(struct connection *self, struct item *item)
{
    struct slice wire = item_wire(item);
    size_t before = item->header_length - (sizeof "\r\n" - 1);
    uint64_t unique = item->unique;
    item_hold(item);
    output_item(&self->out, item, (struct slice){wire.data, before});
    output_format(&self->out, " %" PRIu64, unique);
    output_item(&self->out, item, (struct slice){wire.data + before, wire.length - before});
}

typedef void send_function(struct connection *self, struct item *item);

static void retrieve(struct connection *self, struct slice key, send_function *send)
{
    struct worker *worker = self->worker;
    struct item *item = store_get(worker->store, key, worker->now);
    counters_add(&worker->counters, COUNT_cmd_get, 1);
    counters_add(&worker->counters, item ? COUNT_get_hits : COUNT_get_misses, 1);
    if (item)
        send(self, item);
}

static bool keys_are_valid(struct connection *self, struct slice keys)
{
    for (struct slice key = slice_take_word(&keys); key.length > 0; key = slice_take_word(&keys)) {
        if (!commands_check_key(self, key))
            return false;
    }
    return true;
}

static void retrieve_all(struct connection *self, struct slice keys, send_function *send)
{
    if (!keys_are_valid(self, keys))
        return;
    for (struct slice key = slice_take_word(&keys); key.length > 0; key = slice_take_word(&keys))
        retrieve(self, key, send);
    REPLY(self, "END");
}

void command_get(struct connection *self, const struct request *request)
{
    retrieve_all(self, request->after_name, send_whole);
}

void command_gets(struct connection *self, const struct request *request)
{
    retrieve_all(self, request->after_name, send_with_unique);
}

void command_touch(struct connection *self, const struct request *request)
{
    struct worker *worker = self->worker;
    int64_t seconds;
    if (!commands_check_key(self, request->words[1]))
        return;
    if (!slice_to_int64(request->words[2], &seconds)) {
        REPLY(self, "CLIENT_ERROR invalid exptime argument");
        return;
    }
    bool found = store_touch(worker->store, request->words[1], commands_expiry(self, seconds), worker->now);
    counters_add(&worker->counters, COUNT_cmd_touch, 1);
    counters_add(&worker->counters, found ? COUNT_touch_hits : COUNT_touch_misses, 1);
    connection_reply(self, found ? SLICE("TOUCHED\r\n") : SLICE("NOT_FOUND\r\n"));
}

// Old clients send a delay after the key; nought is all that was ever allowed there.
static bool delete_is_plain(const struct connection *self, const struct request *request)
{
    bool delay_is_nought = request->count > 2 && slice_equal(request->words[2], SLICE("0"));
    return request->count == 2 || (request->count == 3 && (delay_is_nought || self->quiet)) ||
           (request->count == 4 && delay_is_nought && self->quiet);
}

void command_delete(struct connection *self, const struct request *request)
{
    struct worker *worker = self->worker;
    if (!delete_is_plain(self, request)) {
        REPLY(self, "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]");
        return;
    }
    if (!commands_check_key(self, request->words[1]))
        return;
    bool found = store_delete(worker->store, request->words[1], worker->now);
    counters_add(&worker->counters, found ? COUNT_delete_hits : COUNT_delete_misses, 1);
    connection_reply(self, found ? SLICE("DELETED\r\n") : SLICE("NOT_FOUND\r\n"));
}
