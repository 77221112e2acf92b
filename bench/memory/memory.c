// SPDX-License-Identifier: MIT
#include "memory.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { SAMPLES = 4096, COUNTERS = 64, FIRST_PERIOD_MS = 10 };

struct sample {
    double ms;
    size_t live, rss;
    const char *phase;
};

struct counter {
    _Alignas(64) atomic_long bytes;
};

uint64_t memory_settle_ms = 1000, memory_settle_calls;

static struct counter counters[COUNTERS];
static atomic_uint next_counter;
static _Thread_local struct counter *own_counter;

static size_t table_bytes;
static pthread_barrier_t meeting;

static struct sampler {
    pthread_mutex_t lock;
    struct sample samples[SAMPLES]; // guarded by lock, as are the words to `begun`
    size_t count, period_ms;
    const char *phase;
    size_t begun; // resident bytes
    uint64_t start;
    int statm;
    pthread_t thread;
    atomic_bool over;
} sampler = {.lock = PTHREAD_MUTEX_INITIALIZER, .period_ms = FIRST_PERIOD_MS, .phase = "start"};

void *memory_table(size_t bytes)
{
    void *table =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (table == MAP_FAILED)
        work_fail("no memory for a table");
    table_bytes += (bytes + MEMORY_PAGE - 1) / MEMORY_PAGE * MEMORY_PAGE;
    return table;
}

void memory_count(long change)
{
    if (own_counter == NULL)
        own_counter = &counters[atomic_fetch_add(&next_counter, 1) % COUNTERS];
    atomic_fetch_add_explicit(&own_counter->bytes, change, memory_order_relaxed);
}

// A block may be counted as freed where it was not yet counted as allocated: never below zero.
static size_t live_bytes(void)
{
    long sum = 0;
    for (int i = 0; i < COUNTERS; i++)
        sum += atomic_load_explicit(&counters[i].bytes, memory_order_relaxed);
    return sum > 0 ? (size_t)sum : 0;
}

static size_t without_tables(size_t rss) { return rss > table_bytes ? rss - table_bytes : 0; }

static size_t rss_now(void)
{
    char text[128];
    ssize_t n = pread(sampler.statm, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    char *second = strchr(text, ' ');
    return second == NULL ? 0 : without_tables(strtoull(second, NULL, 10) * MEMORY_PAGE);
}

// The number of KiB after `key` in a file of /proc, in bytes; 0 if it is not there.
static size_t proc_bytes(const char *path, const char *key)
{
    char text[4096];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = file < 0 ? 0 : read(file, text, sizeof text - 1);
    if (file >= 0)
        close(file);
    text[n > 0 ? n : 0] = '\0';
    char *found = strstr(text, key);
    return found == NULL ? 0 : strtoull(found + strlen(key), NULL, 10) * 1024;
}

static size_t exact_rss(void)
{
    size_t rss = proc_bytes("/proc/self/smaps_rollup", "\nRss:");
    return without_tables(rss != 0 ? rss : proc_bytes("/proc/self/status", "\nVmRSS:"));
}

// Every second sample goes, and those to come are as far apart.
static void thin_out(void)
{
    for (size_t i = 0; i < SAMPLES / 2; i++)
        sampler.samples[i] = sampler.samples[2 * i + 1];
    sampler.count = SAMPLES / 2;
    sampler.period_ms *= 2;
}

static void add_sample(size_t rss)
{
    if (sampler.count == SAMPLES)
        thin_out();
    double ms = (double)(work_nanoseconds() - sampler.start) / 1e6;
    sampler.samples[sampler.count++] = (struct sample){ms, live_bytes(), rss, sampler.phase};
}

static void *sample_all(void *unused)
{
    while (!atomic_load(&sampler.over)) {
        pthread_mutex_lock(&sampler.lock);
        if (!atomic_load(&sampler.over))
            add_sample(rss_now());
        long pause = (long)sampler.period_ms * 1000000;
        pthread_mutex_unlock(&sampler.lock);
        nanosleep(&(struct timespec){pause / 1000000000, pause % 1000000000}, NULL);
    }
    return unused;
}

void memory_begin(void)
{
    sampler.statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    pthread_barrier_init(&meeting, NULL, work_threads);
    sampler.begun = exact_rss();
    sampler.start = work_nanoseconds();
    if (sampler.statm < 0 || pthread_create(&sampler.thread, NULL, sample_all, NULL) != 0)
        work_fail("the sampler could not be started");
}

static void begin_phase(const char *name)
{
    pthread_mutex_lock(&sampler.lock);
    add_sample(rss_now());
    sampler.phase = name;
    add_sample(sampler.samples[sampler.count - 1].rss);
    pthread_mutex_unlock(&sampler.lock);
}

static bool all_are_here(void) { return pthread_barrier_wait(&meeting) == PTHREAD_BARRIER_SERIAL_THREAD; }

void memory_meet(const char *name)
{
    if (all_are_here())
        begin_phase(name);
    all_are_here();
}

static void pass_ms(void)
{
    static uint64_t random = 1;
    nanosleep(&(struct timespec){0, 1000000}, NULL);
    for (uint64_t i = 0; i < memory_settle_calls; i++)
        memory_free(memory_new(random_pareto(&random, 16, 4096)));
}

static void sleep_and_sample(void)
{
    uint64_t end = work_nanoseconds() + memory_settle_ms * 1000000;
    begin_phase("settled");
    while (work_nanoseconds() < end)
        pass_ms();
    atomic_store(&sampler.over, true);
    pthread_mutex_lock(&sampler.lock);
    add_sample(exact_rss());
    pthread_mutex_unlock(&sampler.lock);
}

void memory_settle(void)
{
    if (all_are_here())
        sleep_and_sample();
    all_are_here();
}

size_t memory_settled_rss(void) { return sampler.samples[sampler.count - 1].rss; }

// The kernel's own peak sees what lies between two samples; it counts a little more coarsely than the last
// one.
static size_t peak_rss(void)
{
    size_t peak = without_tables(proc_bytes("/proc/self/status", "\nVmHWM:")), settled = memory_settled_rss();
    return peak > settled ? peak : settled;
}

static void print_means(void)
{
    const struct sample *all = sampler.samples;
    double rss = 0, live = 0, time = all[sampler.count - 1].ms - all[0].ms;
    for (size_t i = 1; i < sampler.count; i++) {
        rss += (double)all[i].rss * (all[i].ms - all[i - 1].ms);
        live += (double)all[i].live * (all[i].ms - all[i - 1].ms);
    }
    work_result("mean_rss", rss / time, "bytes");
    work_result("mean_live", live / time, "bytes");
}

void memory_end(void)
{
    pthread_join(sampler.thread, NULL);
    const struct sample *last = &sampler.samples[sampler.count - 1];
    printf("seed %llu\n", (unsigned long long)work_seed);
    for (size_t i = 0; i < sampler.count; i++) {
        const struct sample *sample = &sampler.samples[i];
        printf("sample %.0f %zu %zu %s\n", sample->ms, sample->live, sample->rss, sample->phase);
    }
    work_result("start_rss", (double)sampler.begun, "bytes");
    work_result("peak_rss", (double)peak_rss(), "bytes");
    print_means();
    work_result("settled_rss", (double)last->rss, "bytes");
    work_result("live_at_settled", (double)last->live, "bytes");
    if (last->live != 0)
        work_result("rss_per_live", (double)last->rss / (double)last->live, "ratio");
}

static bool in_phase(const struct sample *sample, const char *name)
{
    return strcmp(sample->phase, name) == 0 && sample->live != 0;
}

double memory_slope(const char *name)
{
    const struct sample *all = sampler.samples;
    size_t first = 0, end = sampler.count;
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;
    while (first < end && !in_phase(&all[first], name))
        first++;
    while (end > first && !in_phase(&all[end - 1], name))
        end--;
    if (end < first + 4)
        return 0;
    double from = all[first].ms, length = all[end - 1].ms - from;
    for (size_t i = first; i < end; i++) {
        double at = (all[i].ms - from) / length, ratio = (double)all[i].rss / (double)all[i].live;
        if (at < 0.5)
            continue;
        n++, x += at, y += ratio, xx += at * at, xy += at * ratio;
    }
    return n < 2 ? 0 : (n * xy - x * y) / (n * xx - x * x);
}
