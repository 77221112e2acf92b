// SPDX-License-Identifier: MIT
// kvload: loads a server that speaks the memcached text protocol, checks every byte it answers, and times it.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "kvload/report.h"

enum { GIVE_UP_SECONDS = 10 };
static const double NS = 1e9;

static uint64_t sum(const struct loader *loaders, unsigned count, enum tally_kind kind)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < count; i++)
        total += tally_get(&loaders[i].workload.tally, kind);
    return total;
}

static void print_progress(const struct loader *loaders, const struct options *options, unsigned second,
                           uint64_t *before)
{
    unsigned count = options->threads;
    uint64_t requests = sum(loaders, count, TALLY_REQUESTS), gets = sum(loaders, count, TALLY_GETS);
    uint64_t errors = sum(loaders, count, TALLY_ERRORS) + sum(loaders, count, TALLY_PAYLOAD_ERRORS);
    double hits = 100 * (double)sum(loaders, count, TALLY_HITS) / (double)(gets + !gets);
    fprintf(stderr, "%s%s%3u s %9ju requests/s   hits %5.1f %%   errors %ju%s\n", options->label,
            *options->label ? "  " : "", second, (uintmax_t)(requests - *before), hits, (uintmax_t)errors,
            second <= options->warm_up ? "   (warm-up)" : "");
    *before = requests;
}

static void sleep_until(int64_t when)
{
    struct timespec moment = {.tv_sec = when / 1000000000, .tv_nsec = when % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, NULL) != 0)
        continue;
}

static bool all_ended(const struct loader *loaders, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!loader_has_ended(&loaders[i]))
            return false;
    }
    return true;
}

// Until the end, or until all connections are lost.
static void watch(const struct loader *loaders, const struct options *options, int64_t start, int64_t end)
{
    const int64_t second_ns = 1000000000;
    uint64_t before = 0;
    for (unsigned second = 1; start + second * second_ns <= end; second++) {
        sleep_until(start + second * second_ns);
        if (!options->quiet)
            print_progress(loaders, options, second, &before);
        if (all_ended(loaders, options->threads))
            return;
    }
}

static bool open_all(struct loader *loaders, const struct options *options)
{
    for (unsigned i = 0; i < options->threads; i++) {
        if (!loader_open(&loaders[i], options, i))
            return false;
    }
    return true;
}

static bool start_all(struct loader *loaders, const struct options *options, struct schedule schedule)
{
    for (unsigned i = 0; i < options->threads; i++) {
        if (!loader_start(&loaders[i], schedule))
            return false;
    }
    return true;
}

static bool run(struct loader *loaders, const struct options *options)
{
    int64_t start = clock_ns();
    struct schedule schedule = {.measure = start + (int64_t)(options->warm_up * NS)};
    schedule.end = schedule.measure + (int64_t)(options->seconds * NS);
    schedule.give_up = schedule.end + GIVE_UP_SECONDS * (int64_t)NS;
    if (!start_all(loaders, options, schedule))
        return false;
    watch(loaders, options, start, schedule.end);
    for (unsigned i = 0; i < options->threads; i++)
        loader_join(&loaders[i]);
    return true;
}

static bool finish(struct loader *loaders, const struct options *options)
{
    static struct report report;
    report_collect(&report, loaders, options->threads, options->seconds);
    for (unsigned i = 0; i < options->threads; i++)
        loader_close(&loaders[i]);
    free(loaders);
    report_print(&report);
    bool written = !options->json || report_write_json(&report, options->json);
    return report_is_clean(&report) && written;
}

int main(int argc, char **argv)
{
    struct options options;
    if (!options_parse(&options, argc, argv))
        return 2;
    if (options.help) {
        options_print_usage(argv[0]);
        return EXIT_SUCCESS;
    }
    struct loader *loaders = aligned_alloc(_Alignof(struct loader), options.threads * sizeof *loaders);
    if (!loaders || !open_all(loaders, &options) || !run(loaders, &options))
        return EXIT_FAILURE;
    return finish(loaders, &options) ? EXIT_SUCCESS : EXIT_FAILURE;
}
