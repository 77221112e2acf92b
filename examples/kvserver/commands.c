// SPDX-License-Identifier: MIT
#include "kvserver/commands.h"

#include <time.h>

#include "kvserver/worker.h"

enum { ANY = 1 << 30, MONTH_SECONDS = 60 * 60 * 24 * 30 };

// The words counted include the command itself.
static const struct command {
    struct slice name;
    size_t least_words, most_words;
    bool may_be_quiet;
    command_function *run;
} COMMANDS[] = {
    {SLICE_INIT("get"), 2, ANY, false, command_get},
    {SLICE_INIT("gets"), 2, ANY, false, command_gets},
    {SLICE_INIT("set"), 5, 6, true, command_set},
    {SLICE_INIT("add"), 5, 6, true, command_add},
    {SLICE_INIT("replace"), 5, 6, true, command_replace},
    {SLICE_INIT("append"), 5, 6, true, command_append},
    {SLICE_INIT("prepend"), 5, 6, true, command_prepend},
    {SLICE_INIT("cas"), 6, 7, true, command_cas},
    {SLICE_INIT("delete"), 2, 4, true, command_delete},
    {SLICE_INIT("incr"), 3, 4, true, command_incr},
    {SLICE_INIT("decr"), 3, 4, true, command_decr},
    {SLICE_INIT("touch"), 3, 4, true, command_touch},
    {SLICE_INIT("flush_all"), 1, 3, true, command_flush_all},
    {SLICE_INIT("stats"), 1, ANY, false, command_stats},
    {SLICE_INIT("version"), 1, ANY, false, command_version},
    {SLICE_INIT("verbosity"), 2, 3, true, command_verbosity},
    {SLICE_INIT("quit"), 1, ANY, false, command_quit},
};

static const struct command *command_find(struct slice name)
{
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++) {
        if (slice_equal(COMMANDS[i].name, name))
            return &COMMANDS[i];
    }
    return NULL;
}

// The words after the first few are counted only for commands that limit them.
static void request_split(struct request *self, struct slice line)
{
    struct slice word = slice_take_word(&line);
    self->words[0] = word;
    self->after_name = line;
    while (word.length > 0) {
        if (self->count < REQUEST_WORDS)
            self->words[self->count] = word;
        self->count++;
        word = slice_take_word(&line);
    }
}

static bool request_is_quiet(const struct request *self)
{
    return slice_equal(self->words[self->count - 1], SLICE("noreply"));
}

void commands_run(struct connection *self, struct slice line)
{
    struct request request = {0};
    request_split(&request, line);
    const struct command *command = command_find(request.words[0]);
    if (!command || request.count < command->least_words || request.count > command->most_words) {
        REPLY(self, "ERROR");
        return;
    }
    self->quiet = command->may_be_quiet && request_is_quiet(&request);
    command->run(self, &request);
}

bool commands_check_key(struct connection *self, struct slice key)
{
    if (key.length <= ITEM_KEY_MAX)
        return true;
    REPLY(self, "CLIENT_ERROR bad command line format");
    return false;
}

int64_t commands_expiry(const struct connection *self, int64_t seconds)
{
    int64_t now = self->worker->now, from_now = seconds;
    if (seconds == 0)
        return ITEM_NEVER_EXPIRES;
    if (seconds > MONTH_SECONDS)
        from_now = seconds - (int64_t)time(NULL);
    if (from_now <= 0)
        return now;
    return from_now < (INT64_MAX - now) / 1000 ? now + from_now * 1000 : ITEM_NEVER_EXPIRES;
}
