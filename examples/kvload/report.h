// SPDX-License-Identifier: MIT
// What the load found, as text and as JSON.
// Made and printed by one thread.
#ifndef KVLOAD_REPORT_H
#define KVLOAD_REPORT_H

#include "kvload/loader.h"

struct report {
    double seconds;
    uint64_t counts[TALLY_KINDS];
    struct histogram latency;
};

// Adds up what the threads have; they must have been joined.
void report_collect(struct report *self, const struct loader *loaders, unsigned count, double seconds);

void report_print(const struct report *self);

// False, after a line on stderr, when the file cannot be written.
bool report_write_json(const struct report *self, const char *path);

bool report_is_clean(const struct report *self);

#endif
