// SPDX-License-Identifier: MIT
#include "kvserver/options.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/slice.h"

enum { THREADS_MAX = 256, MEMORY_MAX_MIB = 1 << 20 };

void options_print_usage(const char *program)
{
    printf("usage: %s [-l address] [-p port] [-t threads] [-m MiB]\n"
           "  -l address   IPv4 address to listen on (127.0.0.1)\n"
           "  -p port      TCP port; 0 lets the kernel choose, and the port is printed (11211)\n"
           "  -t threads   worker threads (4)\n"
           "  -m MiB       memory for items; the least recently used go first (64)\n",
           program);
}

static bool parse_number(char option, const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
    if (slice_to_uint64((struct slice){text, strlen(text)}, value) && *value >= least && *value <= most)
        return true;
    fprintf(stderr, "kvserver: -%c takes a number from %ju to %ju, not '%s'\n", option, (uintmax_t)least,
            (uintmax_t)most, text);
    return false;
}

static bool options_set(struct options *self, int option)
{
    uint64_t value = 0;
    bool ok = true;
    if (option == 'p' && (ok = parse_number('p', optarg, 0, UINT16_MAX, &value)))
        self->port = (uint16_t)value;
    else if (option == 't' && (ok = parse_number('t', optarg, 1, THREADS_MAX, &value)))
        self->threads = (unsigned)value;
    else if (option == 'm' && (ok = parse_number('m', optarg, 1, MEMORY_MAX_MIB, &value)))
        self->memory = (size_t)value << 20;
    else if (option == 'l')
        self->address = optarg;
    else if (option == 'h')
        self->help = true;
    return ok && option != '?';
}

bool options_parse(struct options *self, int argc, char **argv)
{
    *self = (struct options){.address = "127.0.0.1", .port = 11211, .threads = 4, .memory = (size_t)64 << 20};
    for (int option; (option = getopt(argc, argv, "p:t:m:l:h")) != -1;) {
        if (!options_set(self, option))
            return false;
    }
    if (optind == argc)
        return true;
    fprintf(stderr, "kvserver: what is '%s'?\n", argv[optind]);
    return false;
}
