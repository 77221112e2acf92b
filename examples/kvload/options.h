// SPDX-License-Identifier: MIT
// The load generator's command line.
// Parsed by one thread, constant afterwards.
#ifndef KVLOAD_OPTIONS_H
#define KVLOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "kvload/mixture.h"

struct options {
    const char *address;
    uint16_t port;
    unsigned threads;
    unsigned connections; // of each thread
    unsigned depth;       // requests under way on a connection
    uint32_t keys;
    double skew;
    uint32_t get_weight, set_weight, delete_weight;
    struct mixture sizes;
    double seconds, warm_up;
    uint64_t seed;
    const char *json;  // file for the result, or NULL
    const char *label; // stands before every progress line
    bool quiet;
    bool help;
};

// False, after a line on stderr, when the command line is wrong.
bool options_parse(struct options *self, int argc, char **argv);

void options_print_usage(const char *program);

#endif
