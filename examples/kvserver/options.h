// SPDX-License-Identifier: MIT
// The server's command line.
// Parsed by one thread, constant afterwards.
#ifndef KVSERVER_OPTIONS_H
#define KVSERVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct options {
    const char *address;
    uint16_t port; // 0: the kernel chooses
    unsigned threads;
    size_t memory; // bytes for items
    bool help;
};

// False, after a line on stderr, when the command line is wrong.
bool options_parse(struct options *self, int argc, char **argv);

void options_print_usage(const char *program);

#endif
