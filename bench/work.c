// SPDX-License-Identifier: MIT
#include "work.h"

#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum { OPTIONS_MAX = 16 };

unsigned work_threads = 2;
uint64_t work_seed = 1;
static uint64_t percent = 100;

static struct worker workers[WORK_THREADS_MAX];
static unsigned ran;

static struct run {
    void *(*body)(void *worker);
    unsigned threads;
    atomic_uint ready;
} run;

static void usage(const char *program, const struct option *known)
{
    fprintf(stderr, "usage: %s", program);
    for (; known->name != NULL; known++)
        fprintf(stderr, " [--%s N]", known->name);
    fputc('\n', stderr);
    exit(2);
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0') {
        fprintf(stderr, "%s is no number\n", text);
        exit(2);
    }
    return value;
}

void work_start(int argc, char **argv, const struct work_option *options)
{
    uint64_t threads = work_threads;
    struct work_option all[OPTIONS_MAX] = {{"threads", &threads}, {"work", &percent}, {"seed", &work_seed}};
    struct option known[OPTIONS_MAX + 1] = {0};
    int n = 3, which = 0;
    for (; options != NULL && options->name != NULL && n < OPTIONS_MAX; options++)
        all[n++] = *options;
    for (int i = 0; i < n; i++)
        known[i] = (struct option){all[i].name, required_argument, NULL, 0};
    for (int found; (found = getopt_long(argc, argv, "", known, &which)) != -1;) {
        if (found != 0)
            usage(argv[0], known);
        *all[which].value = number(optarg);
    }
    if (optind != argc || threads == 0 || threads > WORK_THREADS_MAX || work_seed == 0)
        usage(argv[0], known);
    work_threads = (unsigned)threads;
}

size_t work_amount(size_t amount)
{
    amount = amount * percent / 100;
    return amount == 0 ? 1 : amount;
}

size_t work_share(size_t amount)
{
    amount = work_amount(amount) / work_threads;
    return amount == 0 ? 1 : amount;
}

double work_seconds(void) { return (double)work_nanoseconds() / 1e9; }

uint64_t work_nanoseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void *start_together(void *worker)
{
    atomic_fetch_add(&run.ready, 1);
    while (atomic_load(&run.ready) != run.threads)
        nanosleep(&(struct timespec){0, 50000}, NULL);
    return run.body(worker);
}

double work_run(unsigned n, void *(*body)(void *worker))
{
    static pthread_t threads[WORK_THREADS_MAX];
    double start = work_seconds();
    run.body = body;
    run.threads = n;
    atomic_store(&run.ready, 0);
    ran = n;
    for (unsigned i = 0; i < n; i++) {
        uint64_t random = (work_seed + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        workers[i] = (struct worker){.index = i, .random = random == 0 ? 1 : random};
        if (pthread_create(&threads[i], NULL, start_together, &workers[i]) != 0)
            work_fail("a thread could not be started");
    }
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    return work_seconds() - start;
}

size_t work_count(void)
{
    size_t sum = 0;
    for (unsigned i = 0; i < ran; i++)
        sum += workers[i].count;
    return sum;
}

void work_result(const char *name, double value, const char *unit)
{
    printf("result %s %.6g %s\n", name, value, unit);
}

void work_rate(const char *unit, size_t count, double seconds)
{
    work_result("throughput", (double)count / seconds, unit);
}

void work_fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

void *work_need(void *p)
{
    if (p == NULL)
        work_fail("no memory");
    return p;
}

static unsigned step_of(uint64_t nanoseconds)
{
    unsigned exponent = 63 - (unsigned)__builtin_clzll(nanoseconds | 16);
    return exponent * 16 + (unsigned)(nanoseconds >> (exponent - 4) & 15);
}

static double microseconds_of(unsigned step)
{
    return (double)((UINT64_C(16) | (step & 15)) << (step / 16) >> 4) / 1000;
}

void latencies_add(struct latencies *self, uint64_t nanoseconds) { self->counts[step_of(nanoseconds)]++; }

void latencies_merge(struct latencies *self, const struct latencies *other)
{
    for (size_t i = 0; i < sizeof self->counts / sizeof self->counts[0]; i++)
        self->counts[i] += other->counts[i];
}

static double at_share(const struct latencies *self, uint64_t all, double share)
{
    uint64_t seen = 0, wanted = (uint64_t)((double)all * share);
    unsigned step = 0;
    while (step < sizeof self->counts / sizeof self->counts[0] - 1 && (seen += self->counts[step]) <= wanted)
        step++;
    return microseconds_of(step);
}

void latencies_print(const struct latencies *self)
{
    uint64_t all = 0;
    for (size_t i = 0; i < sizeof self->counts / sizeof self->counts[0]; i++)
        all += self->counts[i];
    work_result("p50", at_share(self, all, 0.5), "us");
    work_result("p99", at_share(self, all, 0.99), "us");
    work_result("p99.9", at_share(self, all, 0.999), "us");
}
