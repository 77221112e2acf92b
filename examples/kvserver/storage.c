// SPDX-License-Identifier: MIT
// Commands that store: set, add, replace, append, prepend, cas, incr, decr.
// An item never changes once it is shared, so those that change a value make a new item and put it in the
// place of the old one, and begin again when another thread was faster.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kvserver/commands.h"
#include "kvserver/worker.h"

static void reply_result(struct connection *self, enum store_result result)
{
    static const struct slice TEXTS[] = {
        [STORE_STORED] = SLICE_INIT("STORED\r\n"),
        [STORE_NOT_STORED] = SLICE_INIT("NOT_STORED\r\n"),
        [STORE_EXISTS] = SLICE_INIT("EXISTS\r\n"),
        [STORE_NOT_FOUND] = SLICE_INIT("NOT_FOUND\r\n"),
        [STORE_TOO_LARGE] = SLICE_INIT("SERVER_ERROR object too large for cache\r\n"),
    };
    connection_reply(self, TEXTS[result]);
}

static void reply_no_memory(struct connection *self)
{
    REPLY(self, "SERVER_ERROR out of memory storing object");
}

// The value of a refused command still arrives and is skipped. A refused set must not leave an older value
// behind.
static void upload_refuse(struct connection *self, struct slice key, size_t length)
{
    self->to_skip = length + 2;
    if (self->upload.kind == UPLOAD_PUT && self->upload.mode == STORE_SET)
        store_delete(self->worker->store, key, self->worker->now);
}

static void upload_begin(struct connection *self, struct slice key, uint32_t flags, int64_t expires,
                         size_t length)
{
    if (length > ITEM_VALUE_MAX) {
        reply_result(self, STORE_TOO_LARGE);
        upload_refuse(self, key, length);
        return;
    }
    self->upload.item = item_new(key, flags, expires, length);
    self->upload.missing = length + 2;
    if (self->upload.item)
        return;
    reply_no_memory(self);
    upload_refuse(self, key, length);
}

// <command> <key> <flags> <expiry> <length>
static void upload_prepare(struct connection *self, const struct request *request)
{
    uint32_t flags;
    int64_t seconds;
    uint64_t length;
    const struct slice *words = request->words;
    if (!commands_check_key(self, words[1]))
        return;
    if (!slice_to_uint32(words[2], &flags) || !slice_to_int64(words[3], &seconds) ||
        !slice_to_uint64(words[4], &length) || length > INT32_MAX - 2) {
        REPLY(self, "CLIENT_ERROR bad command line format");
        return;
    }
    upload_begin(self, words[1], flags, commands_expiry(self, seconds), length);
}

static void put(struct connection *self, const struct request *request, enum store_mode mode)
{
    self->upload = (struct upload){.kind = UPLOAD_PUT, .mode = mode};
    upload_prepare(self, request);
}

void command_set(struct connection *self, const struct request *request) { put(self, request, STORE_SET); }

void command_add(struct connection *self, const struct request *request) { put(self, request, STORE_ADD); }

void command_replace(struct connection *self, const struct request *request)
{
    put(self, request, STORE_REPLACE);
}

void command_append(struct connection *self, const struct request *request)
{
    self->upload = (struct upload){.kind = UPLOAD_APPEND};
    upload_prepare(self, request);
}

void command_prepend(struct connection *self, const struct request *request)
{
    self->upload = (struct upload){.kind = UPLOAD_PREPEND};
    upload_prepare(self, request);
}

void command_cas(struct connection *self, const struct request *request)
{
    uint64_t unique;
    if (!slice_to_uint64(request->words[5], &unique)) {
        REPLY(self, "CLIENT_ERROR bad command line format");
        return;
    }
    self->upload = (struct upload){.kind = UPLOAD_PUT, .mode = STORE_CAS, .unique = unique};
    upload_prepare(self, request);
}

static struct item *item_joined(const struct item *old, struct slice first, struct slice second)
{
    struct item *joined =
        item_new(item_key(old), old->flags, ITEM_NEVER_EXPIRES, first.length + second.length);
    if (!joined)
        return NULL;
    char *end = mempcpy(item_value_space(joined), first.data, first.length);
    memcpy(end, second.data, second.length);
    return joined;
}

// The old item with the received value before or behind it; NULL after the client has been told why not.
static struct item *upload_join(struct connection *self, const struct item *old)
{
    struct slice there = item_value(old), part = item_value(self->upload.item);
    bool append = self->upload.kind == UPLOAD_APPEND;
    if (there.length + part.length > ITEM_VALUE_MAX) {
        reply_result(self, STORE_TOO_LARGE);
        return NULL;
    }
    struct item *joined = item_joined(old, append ? there : part, append ? part : there);
    if (!joined)
        reply_no_memory(self);
    return joined;
}

// Lets go of both; says whether `fresh` took the place of `old`.
static enum store_result swap_and_release(struct connection *self, struct item *old, struct item *fresh)
{
    enum store_result result = store_swap(self->worker->store, old, fresh, self->worker->now);
    item_release(old);
    item_release(fresh);
    return result;
}

static void upload_extend(struct connection *self)
{
    enum store_result result;
    do {
        struct item *old = store_get(self->worker->store, item_key(self->upload.item), self->worker->now);
        if (!old) {
            reply_result(self, STORE_NOT_STORED);
            return;
        }
        struct item *joined = upload_join(self, old);
        if (!joined) {
            item_release(old);
            return;
        }
        result = swap_and_release(self, old, joined);
    } while (result == STORE_EXISTS);
    reply_result(self, result);
}

static void upload_store(struct connection *self)
{
    const struct upload *upload = &self->upload;
    struct worker *worker = self->worker;
    enum store_result result =
        store_put(worker->store, upload->item, upload->mode, upload->unique, worker->now);
    if (result == STORE_TOO_LARGE && upload->mode == STORE_SET)
        store_delete(worker->store, item_key(upload->item), worker->now);
    reply_result(self, result);
}

void commands_finish_upload(struct connection *self)
{
    struct item *item = self->upload.item;
    counters_add(&self->worker->counters, COUNT_cmd_set, 1);
    if (memcmp(item_value_space(item) + item->value_length, "\r\n", 2) != 0)
        REPLY(self, "CLIENT_ERROR bad data chunk");
    else if (self->upload.kind == UPLOAD_PUT)
        upload_store(self);
    else
        upload_extend(self);
    self->upload.item = NULL;
    item_release(item);
}

// The digits that a value begins with, when it is short enough to be a number.
static bool value_to_number(struct slice value, uint64_t *number)
{
    struct slice digits = slice_take_word(&value);
    return digits.length <= 20 && slice_to_uint64(digits, number);
}

// A shorter number is padded with blanks, so that the value keeps its length as memcached's clients expect.
static struct item *item_with_number(const struct item *old, uint64_t number)
{
    char text[24];
    int width = old->value_length < 20 ? (int)old->value_length : 20;
    int length = snprintf(text, sizeof text, "%-*" PRIu64, width, number);
    return item_joined(old, (struct slice){text, (size_t)length}, SLICE(""));
}

// Down stops at nought; up begins again at nought after the largest number.
static uint64_t number_moved(uint64_t number, uint64_t delta, bool up)
{
    if (up)
        return number + delta;
    return number > delta ? number - delta : 0;
}

// True when it is settled, be it by an error; false when another thread was faster.
static bool number_try(struct connection *self, struct item *old, uint64_t delta, bool up)
{
    uint64_t number;
    struct item *fresh = NULL;
    if (!value_to_number(item_value(old), &number)) {
        REPLY(self, "CLIENT_ERROR cannot increment or decrement non-numeric value");
    } else {
        number = number_moved(number, delta, up);
        fresh = item_with_number(old, number);
        if (!fresh)
            REPLY(self, "SERVER_ERROR out of memory in incr");
    }
    if (!fresh) {
        item_release(old);
        return true;
    }
    if (swap_and_release(self, old, fresh) == STORE_EXISTS)
        return false;
    if (!self->quiet)
        output_format(&self->out, "%" PRIu64 "\r\n", number);
    return true;
}

static void number_change(struct connection *self, const struct request *request, bool up)
{
    struct worker *worker = self->worker;
    uint64_t delta;
    struct item *old;
    if (!commands_check_key(self, request->words[1]))
        return;
    if (!slice_to_uint64(request->words[2], &delta)) {
        REPLY(self, "CLIENT_ERROR invalid numeric delta argument");
        return;
    }
    do {
        old = store_get(worker->store, request->words[1], worker->now);
    } while (old && !number_try(self, old, delta, up));
    if (!old)
        REPLY(self, "NOT_FOUND");
    if (up)
        counters_add(&worker->counters, old ? COUNT_incr_hits : COUNT_incr_misses, 1);
    else
        counters_add(&worker->counters, old ? COUNT_decr_hits : COUNT_decr_misses, 1);
}

void command_incr(struct connection *self, const struct request *request)
{
    number_change(self, request, true);
}

void command_decr(struct connection *self, const struct request *request)
{
    number_change(self, request, false);
}
