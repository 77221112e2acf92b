// SPDX-License-Identifier: MIT
// kvserver: a key-value cache that speaks the memcached text protocol.
#include <stdlib.h>

#include "kvserver/server.h"

int main(int argc, char **argv)
{
    struct server server = {0};
    if (!options_parse(&server.options, argc, argv))
        return 2;
    if (server.options.help) {
        options_print_usage(argv[0]);
        return EXIT_SUCCESS;
    }
    return server_run(&server);
}
