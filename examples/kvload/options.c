// SPDX-License-Identifier: MIT
#include "kvload/options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/slice.h"

#define DEFAULT_SIZES "16-128:60,128-2k:30,2k-32k:9,32k-512k:1"

void options_print_usage(const char *program)
{
    printf("usage: %s -p port [options]\n"
           "  -l, --address A        IPv4 address of the server (127.0.0.1)\n"
           "  -p, --port N           TCP port of the server\n"
           "  -t, --threads N        threads (2)\n"
           "  -c, --connections N    connections of each thread (16)\n"
           "  -d, --depth N          requests under way on each connection (8)\n"
           "  -k, --keys N           number of keys (100000)\n"
           "  -z, --skew S           popularity of the r-th key is 1/r^S; 0: all alike (0.9)\n"
           "  -r, --ratio G:S:D      weights of get, set and delete (70:28:2)\n"
           "  -s, --sizes LIST       sizes of values (" DEFAULT_SIZES ")\n"
           "  -n, --seconds S        how long to measure (10)\n"
           "  -w, --warm-up S        load before measuring (1)\n"
           "      --seed N           where the random numbers begin (1)\n"
           "      --json FILE        write the result there, too\n"
           "      --label TEXT       begin progress lines with it\n"
           "  -q, --quiet            no progress lines\n",
           program);
}

enum { WEIGHT_MAX = 1000000 };
enum long_option { OPTION_SEED = 256, OPTION_JSON, OPTION_LABEL };

static const struct option LONG_OPTIONS[] = {
    {"address", required_argument, NULL, 'l'},
    {"port", required_argument, NULL, 'p'},
    {"threads", required_argument, NULL, 't'},
    {"connections", required_argument, NULL, 'c'},
    {"depth", required_argument, NULL, 'd'},
    {"keys", required_argument, NULL, 'k'},
    {"skew", required_argument, NULL, 'z'},
    {"ratio", required_argument, NULL, 'r'},
    {"sizes", required_argument, NULL, 's'},
    {"seconds", required_argument, NULL, 'n'},
    {"warm-up", required_argument, NULL, 'w'},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"json", required_argument, NULL, OPTION_JSON},
    {"label", required_argument, NULL, OPTION_LABEL},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool parse_unsigned(const char *text, uint32_t least, uint32_t most, uint32_t *value)
{
    return slice_to_uint32((struct slice){text, strlen(text)}, value) && *value >= least && *value <= most;
}

static bool parse_double(const char *text, double most, double *value)
{
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*value) && *value >= 0 && *value <= most;
}

static bool parse_port(const char *text, uint16_t *port)
{
    uint32_t wide;
    if (!parse_unsigned(text, 1, UINT16_MAX, &wide))
        return false;
    *port = (uint16_t)wide;
    return true;
}

// get:set:delete
static bool parse_ratio(struct options *self, const char *text)
{
    struct slice rest = {text, strlen(text)};
    uint32_t *const weights[] = {&self->get_weight, &self->set_weight, &self->delete_weight};
    uint32_t sum = 0;
    for (unsigned i = 0; i < 3; i++) {
        if (!slice_to_uint32(slice_take_until(&rest, ':'), weights[i]) || *weights[i] > WEIGHT_MAX)
            return false;
        sum += *weights[i];
    }
    return rest.length == 0 && sum > 0;
}

static bool parse_seed(const char *text, uint64_t *seed)
{
    return slice_to_uint64((struct slice){text, strlen(text)}, seed);
}

// Those that set how hard the load is.
static bool options_set_load(struct options *self, int option)
{
    switch (option) {
    case 't':
        return parse_unsigned(optarg, 1, 256, &self->threads);
    case 'c':
        return parse_unsigned(optarg, 1, 10000, &self->connections);
    case 'd':
        return parse_unsigned(optarg, 1, 1024, &self->depth);
    case 'n':
        return parse_double(optarg, 1e6, &self->seconds);
    case 'w':
        return parse_double(optarg, 1e6, &self->warm_up);
    default:
        return false;
    }
}

// Those that set what is asked for.
static bool options_set_content(struct options *self, int option)
{
    switch (option) {
    case 'k':
        return parse_unsigned(optarg, 1, 100000000, &self->keys);
    case 'z':
        return parse_double(optarg, 10, &self->skew);
    case 'r':
        return parse_ratio(self, optarg);
    case 's':
        return mixture_parse(&self->sizes, optarg);
    case OPTION_SEED:
        return parse_seed(optarg, &self->seed);
    default:
        return options_set_load(self, option);
    }
}

static bool options_set(struct options *self, int option)
{
    switch (option) {
    case 'l':
        self->address = optarg;
        return true;
    case 'p':
        return parse_port(optarg, &self->port);
    case OPTION_JSON:
        self->json = optarg;
        return true;
    case OPTION_LABEL:
        self->label = optarg;
        return true;
    case 'q':
        return self->quiet = true;
    case 'h':
        return self->help = true;
    default:
        return options_set_content(self, option);
    }
}

static bool options_check(const struct options *self, int left_over, char **argv)
{
    if (left_over > 0)
        fprintf(stderr, "kvload: what is '%s'?\n", argv[0]);
    else if (self->port == 0 && !self->help)
        fprintf(stderr, "kvload: which port? (-p)\n");
    else
        return true;
    return false;
}

bool options_parse(struct options *self, int argc, char **argv)
{
    *self =
        (struct options){.address = "127.0.0.1", .threads = 2, .connections = 16, .depth = 8, .keys = 100000};
    self->skew = 0.9;
    self->get_weight = 70, self->set_weight = 28, self->delete_weight = 2;
    self->seconds = 10, self->warm_up = 1, self->seed = 1, self->label = "";
    mixture_parse(&self->sizes, DEFAULT_SIZES);
    for (int option;
         (option = getopt_long(argc, argv, "l:p:t:c:d:k:z:r:s:n:w:qh", LONG_OPTIONS, NULL)) != -1;) {
        if (option == '?')
            return false;
        if (!options_set(self, option)) {
            fprintf(stderr, "kvload: '%s' cannot be used there\n", optarg);
            return false;
        }
    }
    return options_check(self, argc - optind, argv + optind);
}
