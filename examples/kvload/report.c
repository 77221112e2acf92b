// SPDX-License-Identifier: MIT
#include "kvload/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void report_collect(struct report *self, const struct loader *loaders, unsigned count, double seconds)
{
    *self = (struct report){.seconds = seconds};
    for (unsigned i = 0; i < count; i++) {
        for (enum tally_kind kind = 0; kind < TALLY_KINDS; kind++)
            self->counts[kind] += tally_get(&loaders[i].workload.tally, kind);
        histogram_add(&self->latency, &loaders[i].workload.latency);
    }
}

static double report_rate(const struct report *self) { return (double)self->latency.total / self->seconds; }

static double report_us(const struct report *self, double share)
{
    return (double)histogram_quantile(&self->latency, share) / 1000;
}

void report_print(const struct report *self)
{
    const uint64_t *counts = self->counts;
    printf("%.0f requests/s   latency p50 %.0f us   p99 %.0f us   p99.9 %.0f us   largest %.0f us\n",
           report_rate(self), report_us(self, 0.5), report_us(self, 0.99), report_us(self, 0.999),
           report_us(self, 1));
    printf("with warm-up: %" PRIu64 " gets (%.1f %% hits), %" PRIu64 " sets, %" PRIu64
           " deletes; %.0f MiB sent, %.0f "
           "MiB received\n",
           counts[TALLY_GETS],
           100 * (double)counts[TALLY_HITS] / (double)(counts[TALLY_GETS] + !counts[TALLY_GETS]),
           counts[TALLY_SETS], counts[TALLY_DELETES], (double)counts[TALLY_BYTES_SENT] / 0x1p20,
           (double)counts[TALLY_BYTES_RECEIVED] / 0x1p20);
    printf("errors: %" PRIu64 " answers, %" PRIu64 " payloads\n", counts[TALLY_ERRORS],
           counts[TALLY_PAYLOAD_ERRORS]);
}

static void write_counts(const struct report *self, FILE *file)
{
    static const char *const NAMES[] = {
        [TALLY_REQUESTS] = "requests",
        [TALLY_GETS] = "gets",
        [TALLY_HITS] = "hits",
        [TALLY_SETS] = "sets",
        [TALLY_DELETES] = "deletes",
        [TALLY_BYTES_SENT] = "bytes_sent",
        [TALLY_BYTES_RECEIVED] = "bytes_received",
        [TALLY_ERRORS] = "errors",
        [TALLY_PAYLOAD_ERRORS] = "payload_errors",
    };
    for (enum tally_kind kind = 0; kind < TALLY_KINDS; kind++)
        fprintf(file, "  \"%s\": %" PRIu64 ",\n", NAMES[kind], self->counts[kind]);
}

static void write_latency(const struct report *self, FILE *file)
{
    fprintf(file, "  \"measured_requests\": %" PRIu64 ",\n", self->latency.total);
    fprintf(file, "  \"seconds\": %.3f,\n", self->seconds);
    fprintf(file, "  \"requests_per_second\": %.0f,\n", report_rate(self));
    fprintf(file, "  \"p50_us\": %.1f,\n", report_us(self, 0.5));
    fprintf(file, "  \"p99_us\": %.1f,\n", report_us(self, 0.99));
    fprintf(file, "  \"p999_us\": %.1f,\n", report_us(self, 0.999));
    fprintf(file, "  \"largest_us\": %.1f\n", report_us(self, 1));
}

bool report_write_json(const struct report *self, const char *path)
{
    FILE *file = fopen(path, "w");
    if (file) {
        fprintf(file, "{\n");
        write_counts(self, file);
        write_latency(self, file);
        fprintf(file, "}\n");
        if (fclose(file) == 0)
            return true;
    }
    fprintf(stderr, "kvload: %s: %s\n", path, strerror(errno));
    return false;
}

bool report_is_clean(const struct report *self)
{
    return self->counts[TALLY_ERRORS] == 0 && self->counts[TALLY_PAYLOAD_ERRORS] == 0 &&
           self->latency.total > 0;
}
