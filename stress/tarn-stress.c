// SPDX-License-Identifier: MIT
// tarn-stress: many threads use the whole allocation interface for a while. About every second all of them
// meet, and while they stand still one looks at every invariant and compares the statistics with what is
// held.
#include "modes.h"
#include "weather.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/tarn.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS 256

#define CHANGING WEATHERS                                 // fair for two periods of four
#define LOADING_WEIGHT (sizeof STRESS_GUEST > 1 ? 50 : 0) // without a guest there is nothing to load

static const struct mode {
    const char *name;
    step_function *step; // NULL: any of the others, each with its weight
    unsigned weight;     // low for slow steps
    unsigned weather;    // enum weather, or CHANGING
    const char *text;
} modes[] = {
    {"churn", step_churn, 3000, WEATHER_FAIR, "random operations on an own set of blocks"},
    {"exchange", step_exchange, 3000, WEATHER_FAIR,
     "producers and consumers; every block is freed by another thread"},
    {"threads", step_threads, 50, WEATHER_FAIR, "threads that live briefly and leave blocks behind"},
    {"realloc", step_realloc, 3000, WEATHER_FAIR, "blocks that grow and shrink, also from aligned ones"},
    {"large", step_large, 100, WEATHER_FAIR, "blocks beyond the size classes"},
    {"fork", step_fork, 1, WEATHER_FAIR, "children of fork that allocate, free, start threads, exit or exec"},
    {"signals", step_signals, 1, WEATHER_FAIR, "signal handlers that interrupt the allocator and fork"},
    {"dlopen", step_loading, LOADING_WEIGHT, WEATHER_FAIR, "shared objects that allocate and are closed"},
    {"limit", NULL, 0, WEATHER_LIMITS,
     "all of the above under a bound on the heap that changes all the time"},
    {"faults", NULL, 0, WEATHER_FAULTS, "all of the above while the kernel refuses memory at random"},
    {"everything", NULL, 0, CHANGING, "all of the above, mixed (the default)"},
};

static const struct tier {
    const char *name;
    unsigned seconds;
} tiers[] = {{"short", 30}, {"5m", 300}, {"1h", 3600}, {"8h", 28800}};

enum { TIERS = sizeof tiers / sizeof tiers[0] };
enum { MODES = sizeof modes / sizeof modes[0] };

static struct {
    const struct mode *mode;
    unsigned seconds, threads;
    uint64_t steps; // of each worker from meeting to meeting; 0: a second
    uint64_t seed;
    struct worker *workers;
    pthread_barrier_t arrived, checked;
    // Relaxed: how many have been called, and which is the last (0: not known yet); the barriers do the rest.
    atomic_uint meetings, last_meeting;
} run;

// --- The check, made by one thread while all stand still.

static struct {
    char text[64 << 10];
    size_t length;
} report;

static void append(void *arg, const char *text, size_t n)
{
    (void)arg;
    if (report.length + n >= sizeof report.text)
        fault("the statistics are too long");
    memcpy(report.text + report.length, text, n);
    report.length += n;
    report.text[report.length] = '\0';
}

static int64_t number(const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\": ", name);
    const char *found = strstr(report.text, key);
    if (found == NULL)
        fault("the statistics do not tell %s", name);
    int64_t value = strtoll(found + strlen(key), NULL, 10);
    if (value < 0 || value > INT64_C(1) << 50)
        fault("%s is %s", name, found);
    return value;
}

static int64_t sum_of_parts(void)
{
    return number("live_bytes") + number("cached_thread_bytes") + number("cached_batch_bytes") +
           number("span_free_bytes") + number("span_waste_bytes") + number("page_heap_dirty_bytes") +
           number("page_heap_clean_bytes") + number("guard_bytes");
}

static int64_t held_by_all(uint64_t *operations)
{
    int64_t held = 0;
    for (unsigned i = 0; i < run.threads; i++) {
        held += run.workers[i].maker.held_bytes;
        *operations += run.workers[i].maker.operations;
    }
    return held;
}

// With canaries a block holds what was asked for, and live_bytes counts its slot.
static bool live_is(int64_t held)
{
    char level[8];
    bool whole = tarn_option_get("HARDEN", level, sizeof level) == 0 && level[0] < '2';
    return whole ? number("live_bytes") == held : number("live_bytes") >= held;
}

static void check_heap(int64_t held)
{
    report.length = 0;
    if (tarn_validate() != 0)
        fault("an invariant does not hold");
    if (tarn_stats_print(TARN_STATS_JSON, append, NULL) != 0)
        fault("no statistics");
    if (!live_is(held))
        fault("live_bytes is %lld, but the program holds %lld", (long long)number("live_bytes"),
              (long long)held);
    if (number("mapped_bytes") != sum_of_parts())
        fault("mapped_bytes is %lld, but its parts add up to %lld", (long long)number("mapped_bytes"),
              (long long)sum_of_parts());
}

// In a long run a line for each minute or so.
static void print_progress(unsigned meeting, uint64_t operations)
{
    if (meeting > 60 && meeting % 60 != 0)
        return;
    printf("%4u.   %9.3f million operations  live %7.1f MiB  mapped %7.1f MiB  resident %7.1f MiB\n", meeting,
           (double)operations / 1e6, (double)number("live_bytes") / 1048576,
           (double)number("mapped_bytes") / 1048576, (double)number("rss_bytes") / 1048576);
    fflush(stdout);
}

static bool is_last(uint64_t meeting)
{
    return atomic_load_explicit(&run.last_meeting, memory_order_relaxed) == meeting && meeting != 0;
}

static enum weather weather_after(unsigned meeting)
{
    if (is_last(meeting))
        return WEATHER_FAIR;
    if (run.mode->weather != CHANGING)
        return (enum weather)run.mode->weather;
    uint64_t pick = rng_mix(run.seed ^ rng_mix(meeting)) % (WEATHERS + 1);
    return pick == WEATHERS ? WEATHER_FAIR : (enum weather)pick;
}

// Each takes its turn, since validation looks into the caller's thread cache.
static void meet(unsigned meeting, unsigned who)
{
    pthread_barrier_wait(&run.arrived);
    if (meeting % (run.threads + 1) == who) {
        uint64_t operations = 0;
        check_heap(held_by_all(&operations));
        print_progress(meeting, operations);
        weather_set(weather_after(meeting));
    }
    pthread_barrier_wait(&run.checked);
}

// --- The threads.

static unsigned sum_of_weights(void)
{
    unsigned sum = 0;
    for (size_t i = 0; i < MODES; i++)
        sum += modes[i].weight;
    return sum;
}

static void step_any(struct worker *self)
{
    uint64_t pick = rng_below(&self->maker.rng, sum_of_weights());
    const struct mode *mode = modes;
    for (; pick >= mode->weight; mode++)
        pick -= mode->weight;
    mode->step(self);
}

static bool is_meeting(uint64_t steps, uint64_t met)
{
    return run.steps != 0 ? steps == (met + 1) * run.steps
                          : atomic_load_explicit(&run.meetings, memory_order_relaxed) != met;
}

static void *work(void *arg)
{
    struct worker *self = arg;
    step_function *step = run.mode->step == NULL ? step_any : run.mode->step;
    for (uint64_t steps = 0, met = 0;; steps++) {
        if (is_meeting(steps, met)) {
            meet((unsigned)++met, self->number);
            if (is_last(met))
                break;
        }
        step(self);
        weather_step(&self->maker.rng);
        if (rng_one_in(&self->maker.rng, 2000))
            call_the_rest(&self->maker.rng);
    }
    worker_clear(self);
    return NULL;
}

// By the clock a meeting comes every second, or later on a busy machine; by steps, one comes for each second.
static void call_meetings(void)
{
    time_t end = time(NULL) + run.seconds;
    if (run.steps != 0)
        atomic_store_explicit(&run.last_meeting, run.seconds, memory_order_relaxed);
    for (unsigned meeting = 1; !is_last(meeting - 1); meeting++) {
        if (run.steps == 0)
            nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        if (run.steps == 0 && time(NULL) >= end)
            atomic_store_explicit(&run.last_meeting, meeting, memory_order_relaxed);
        atomic_store_explicit(&run.meetings, meeting, memory_order_relaxed);
        meet(meeting, run.threads);
    }
}

// All blocks are free and all threads but this one are gone.
static void check_nothing_is_left(struct maker *maker)
{
    int64_t held = maker->held_bytes;
    tarn_collect();
    check_heap(held);
    if (held != 0 || number("cached_thread_bytes") != 0 || number("cached_batch_bytes") != 0 ||
        number("span_free_bytes") != 0)
        fault("at the end %lld bytes are held, %lld cached by threads, %lld in batches, %lld free in spans",
              (long long)held, (long long)number("cached_thread_bytes"),
              (long long)number("cached_batch_bytes"), (long long)number("span_free_bytes"));
}

static void run_all(void)
{
    pthread_t threads[MAX_THREADS];
    struct maker rest;
    maker_init(&rest, run.seed, run.threads);
    weather_set(weather_after(0));
    for (unsigned i = 0; i < run.threads; i++) {
        run.workers[i].number = i;
        run.workers[i].count = run.threads;
        maker_init(&run.workers[i].maker, run.seed, i);
        if (pthread_create(&threads[i], NULL, work, &run.workers[i]) != 0)
            fault("no thread");
    }
    call_meetings();
    for (unsigned i = 0; i < run.threads; i++)
        pthread_join(threads[i], NULL);
    unsigned children = 0;
    for (unsigned i = 0; i < run.threads; i++) {
        maker_absorb(&rest, &run.workers[i].maker);
        children += run.workers[i].children;
    }
    mailboxes_clear(&rest);
    check_nothing_is_left(&rest);
    printf("done: %.3f million operations, %llu refused, %u children, nothing wrong\n",
           (double)rest.operations / 1e6, (unsigned long long)rest.refused, children);
}

// --- A mistake on purpose: one thread uses a block while another one, who got it by a relaxed store, uses it
// too.

static _Atomic(int *) planted;

static void *use_planted(void *arg)
{
    (void)arg;
    int *p;
    while ((p = atomic_load_explicit(&planted, memory_order_relaxed)) == NULL)
        continue;
    *p += 1;
    return NULL;
}

static void plant_race(void)
{
    pthread_t thread;
    int *p = tarn_calloc(1, sizeof *p);
    if (p == NULL || pthread_create(&thread, NULL, use_planted, NULL) != 0)
        fault("no thread");
    *p = 1; // nothing orders this before the other thread's access
    atomic_store_explicit(&planted, p, memory_order_relaxed);
    pthread_join(thread, NULL);
    tarn_free(p);
    puts("raced");
}

// --- The command line.

static _Noreturn void usage(void)
{
    fprintf(stderr,
            "usage: tarn-stress [MODE] [--seconds N | --tier short|5m|1h|8h] [--threads T] [--seed S] "
            "[--steps N]\n"
            "       tarn-stress --plant-race   (makes a mistake for ThreadSanitizer to find)\n\n"
            "--steps: the threads meet after so many steps of each, instead of after a second\n\nmodes:\n");
    for (size_t i = 0; i < MODES; i++)
        fprintf(stderr, "  %-12s %s\n", modes[i].name, modes[i].text);
    exit(2);
}

static void choose_mode(const char *name)
{
    for (size_t i = 0; i < MODES; i++)
        if (strcmp(name, modes[i].name) == 0) {
            run.mode = &modes[i];
            return;
        }
    usage();
}

static unsigned tier_seconds(const char *name)
{
    for (size_t i = 0; name != NULL && i < TIERS; i++)
        if (strcmp(tiers[i].name, name) == 0)
            return tiers[i].seconds;
    usage();
}

static uint64_t parse_number(const char *text, uint64_t least, uint64_t most)
{
    char *end;
    uint64_t value = text == NULL ? 0 : strtoull(text, &end, 0);
    if (text == NULL || *text == '\0' || *end != '\0' || value < least || value > most)
        usage();
    return value;
}

static void parse(char **arguments)
{
    for (; *arguments != NULL; arguments++) {
        if (strcmp(*arguments, "--plant-race") == 0) {
            plant_race();
            exit(0);
        }
        if (strncmp(*arguments, "--", 2) != 0)
            choose_mode(*arguments);
        else if (strcmp(*arguments, "--seconds") == 0)
            run.seconds = (unsigned)parse_number(*++arguments, 1, 1000000);
        else if (strcmp(*arguments, "--tier") == 0)
            run.seconds = tier_seconds(*++arguments);
        else if (strcmp(*arguments, "--steps") == 0)
            run.steps = parse_number(*++arguments, 1, UINT32_MAX);
        else if (strcmp(*arguments, "--threads") == 0)
            run.threads = (unsigned)parse_number(*++arguments, 1, MAX_THREADS);
        else if (strcmp(*arguments, "--seed") == 0)
            run.seed = parse_number(*++arguments, 0, UINT64_MAX);
        else
            usage();
    }
}

// What repeats the run.
static void print_command(void)
{
    printf("tarn-stress %s --seconds %u --threads %u --seed %llu", run.mode->name, run.seconds, run.threads,
           (unsigned long long)run.seed);
    if (run.steps != 0)
        printf(" --steps %llu", (unsigned long long)run.steps);
    puts("");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    (void)argc;
    run.mode = &modes[MODES - 1];
    run.seconds = 10;
    run.threads = 8;
    run.seed = (uint64_t)time(NULL) ^ (uint64_t)getpid() << 32;
    parse(argv + 1);
    run.workers = calloc(run.threads, sizeof *run.workers);
    if (run.workers == NULL)
        fault("no memory for %u threads", run.threads);
    print_command();
    pthread_barrier_init(&run.arrived, NULL, run.threads + 1);
    pthread_barrier_init(&run.checked, NULL, run.threads + 1);
    mailboxes_init();
    threads_init();
    children_init();
    run_all();
    free(run.workers);
    return 0;
}
