// SPDX-License-Identifier: MIT
// The answers of one connection on their way out: pieces of text and of items, sent without copying them.
// Owned by one thread at a time.
#ifndef KVSERVER_OUTPUT_H
#define KVSERVER_OUTPUT_H

#include "kvserver/item.h"

// Who has to be let go of once the bytes are sent: an item, a block of text, or nobody (both NULL).
struct piece {
    const char *data;
    size_t length;
    struct item *item;
    char *text;
};

// pieces[first, count) waits to be sent; bytes = sum of its lengths. All zeros is an empty queue.
struct output {
    struct piece *pieces;
    size_t capacity, first, count;
    size_t bytes;
    bool failed; // an answer was lost for want of memory: the connection cannot go on
};

enum output_state { OUTPUT_SENT, OUTPUT_BLOCKED, OUTPUT_BROKEN };

void output_free(struct output *self);

// Queues text that lives for ever.
void output_constant(struct output *self, struct slice text);

// Queues formatted text.
__attribute__((format(printf, 2, 3))) void output_format(struct output *self, const char *format, ...);

// Queues a part of an item's text; the caller's hold passes to the queue.
void output_item(struct output *self, struct item *item, struct slice part);

// Enough is waiting: answer no more commands before some of it is sent.
bool output_is_full(const struct output *self);

// Sends as much as the socket takes. `sent` is increased by the bytes that went out.
enum output_state output_flush(struct output *self, int fd, uint64_t *sent);

#endif
