// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "explore.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The threads are the system's, so that thread-local storage is what it is elsewhere; but a thread runs only
// while it has the turn, which it hands on by a semaphore. The main thread has it between schedules.
#define MAIN EXPLORE_THREADS_MAX
#define STEPS_MAX 50000
#define DECISIONS_MAX STEPS_MAX
#define OPTIONS_MAX (EXPLORE_THREADS_MAX + 2)
#define SCHEDULE_SECONDS 20 // they take less than a thousandth of that
#define FOREVER UINT64_MAX

enum state { READY, PARKED, ENDED };

struct thread {
    sem_t turn;
    enum state state;
    const void *word; // that it is parked at
    uint64_t deadline;
    unsigned priority; // in random schedules; the highest goes on
};

struct option {
    unsigned thread;
    unsigned preempts; // 1 when the schedule pays for it
    bool stalls;       // the thread stands still for a while
};

// What a depth-first search chose where there was a choice.
struct decision {
    uint8_t choice, options;
};

struct place {
    const char *file;
    int line;
    unsigned thread;
};

struct handover {
    unsigned step, thread;
};

enum mode { SEARCH, RANDOM, REPLAY };

static struct {
    const struct explore_scenario *scenario;
    struct thread threads[EXPLORE_THREADS_MAX + 1];
    unsigned current;
    bool runs;
    bool must_fail;
    uint64_t now_ms;

    enum mode mode;
    unsigned step, spent;
    struct place places[STEPS_MAX];
    struct handover handovers[2 * STEPS_MAX];
    unsigned handover_count;

    unsigned bound; // of preemptions
    struct decision path[DECISIONS_MAX];
    unsigned depth, known;

    uint64_t seed, random;
    unsigned lowest, changes[8], change_count, longest;

    const char *replay;
    uint64_t schedules;
} all;

static _Thread_local unsigned self = MAIN;

bool explore_runs(void) { return all.runs && self != MAIN; }
uint64_t explore_now_ms(void) { return all.now_ms; }
unsigned explore_self(void) { return self; }

static uint64_t next_random(void)
{
    all.random ^= all.random << 13;
    all.random ^= all.random >> 7;
    all.random ^= all.random << 17;
    return all.random;
}

// --- What went wrong.

static void print_place(unsigned step)
{
    const struct place *place = &all.places[step];
    const char *name = place->file == NULL ? NULL : strrchr(place->file, '/');
    if (name != NULL)
        fprintf(stderr, "%8u  thread %u  before %s:%d\n", step, place->thread, name + 1, place->line);
}

static void print_schedule(void)
{
    fprintf(stderr, "the schedule: --replay '");
    for (unsigned i = 0; i < all.handover_count; i++)
        fprintf(stderr, "%s%u:%u", i == 0 ? "" : " ", all.handovers[i].step, all.handovers[i].thread);
    fprintf(stderr, "'\nwhere its threads stopped:\n");
    for (unsigned i = 1; i < all.handover_count; i++)
        print_place(all.handovers[i].step);
    print_place(all.step < STEPS_MAX ? all.step : STEPS_MAX - 1);
}

static _Noreturn void end_failed(const char *what)
{
    if (all.must_fail) {
        printf("%s: caught after %llu schedules: %s\n", all.scenario->name, (unsigned long long)all.schedules,
               what);
        fflush(stdout);
        _exit(0);
    }
    fprintf(stderr, "%s: FAILED in schedule %llu (seed %llu): %s\n", all.scenario->name,
            (unsigned long long)all.schedules, (unsigned long long)all.seed, what);
    print_schedule();
    _exit(1);
}

_Noreturn void explore_fail(const char *file, int line, const char *what)
{
    char text[512];
    snprintf(text, sizeof text, "%s:%d: %s", file, line, what);
    end_failed(text);
}

static void on_signal(int signal)
{
    // Nothing is interrupted that could matter: one thread runs, and it has come to its end.
    end_failed(signal == SIGABRT ? "aborted" : signal == SIGALRM ? "no end" : "memory fault");
}

// --- Who goes on.

static bool is_asleep(const struct thread *thread)
{
    return thread->state == PARKED && thread->deadline != FOREVER;
}

static unsigned add_ready(struct option *options, unsigned first, unsigned preempts)
{
    unsigned n = 0;
    for (unsigned i = 0; i < all.scenario->threads; i++) {
        unsigned thread = (first + i) % all.scenario->threads;
        if (thread != all.current && all.threads[thread].state == READY)
            options[n++] = (struct option){thread, preempts, false};
    }
    return n;
}

static unsigned earliest_sleeper(void)
{
    unsigned earliest = MAIN;
    for (unsigned i = 0; i < all.scenario->threads; i++)
        if (is_asleep(&all.threads[i]) &&
            (earliest == MAIN || all.threads[i].deadline < all.threads[earliest].deadline))
            earliest = i;
    return earliest;
}

// Time passes when nobody else can go on, or earlier, as if the others had stood still that long.
static unsigned add_sleeper(struct option *options, bool nobody_else)
{
    unsigned thread = earliest_sleeper();
    if (thread == MAIN)
        return 0;
    options[0] = (struct option){thread, !nobody_else, false};
    return 1;
}

// The free ones first; none when all have ended or sleep for ever.
static unsigned list_options(struct option *options, bool yields)
{
    unsigned n = 0;
    bool goes_on = all.current != MAIN && all.threads[all.current].state == READY;
    if (goes_on && !yields)
        options[n++] = (struct option){all.current, 0, false};
    n += add_ready(options + n, all.current == MAIN ? 0 : all.current + 1, goes_on && !yields);
    if (goes_on && yields) { // those that wait for others go on in turn, without a choice
        if (n == 0)
            options[0] = (struct option){all.current, 0, false};
        return 1;
    }
    n += add_sleeper(options + n, n == 0);
    if (goes_on && all.scenario->stall_ms != 0)
        options[n++] = (struct option){all.current, 1, true};
    return n;
}

static unsigned search(const struct option *options, unsigned n)
{
    unsigned affordable = 0;
    while (affordable < n && all.spent + options[affordable].preempts <= all.bound)
        affordable++;
    if (affordable <= 1)
        return 0;
    if (all.depth == all.known)
        all.path[all.known++] = (struct decision){0, (uint8_t)affordable};
    if (all.path[all.depth].options != affordable)
        end_failed("the same schedule took other steps than before");
    return all.path[all.depth++].choice;
}

static bool next_path(void)
{
    while (all.known > 0) {
        if (++all.path[all.known - 1].choice < all.path[all.known - 1].options)
            return true;
        all.known--;
    }
    return false;
}

static bool is_change(void)
{
    for (unsigned i = 0; i < all.change_count; i++)
        if (all.changes[i] == all.step)
            return true;
    return false;
}

// Priorities that change at a few random steps (PCT): a fault that takes k such changes is found with a known
// chance.
static unsigned by_priority(const struct option *options, unsigned n, bool yields)
{
    if (options[n - 1].stalls && is_change() && next_random() % 2 == 0)
        return n - 1;
    if (all.current != MAIN && (yields || is_change() || all.threads[all.current].state == PARKED))
        all.threads[all.current].priority = --all.lowest;
    unsigned best = 0;
    for (unsigned i = 1; i < n; i++)
        if (!options[i].stalls &&
            all.threads[options[i].thread].priority > all.threads[options[best].thread].priority)
            best = i;
    return best;
}

static unsigned replay(const struct option *options, unsigned n)
{
    unsigned step, thread;
    int length;
    if (sscanf(all.replay, "%u:%u%n", &step, &thread, &length) != 2 || step != all.step)
        return 0;
    all.replay += length;
    for (unsigned i = 0; i < n; i++)
        if (options[i].thread == thread && options[i].stalls == (thread == all.current))
            return i;
    end_failed("the schedule does not fit");
}

static unsigned choose(const struct option *options, unsigned n, bool yields)
{
    if (all.mode == SEARCH)
        return search(options, n);
    if (all.mode == REPLAY)
        return replay(options, n);
    if (all.schedules % 2 == 0)
        return by_priority(options, n, yields);
    return next_random() % 8 != 0 ? 0 : (unsigned)(next_random() % n);
}

static void wake(struct thread *thread)
{
    if (is_asleep(thread) && thread->deadline > all.now_ms)
        all.now_ms = thread->deadline;
    thread->state = READY;
}

static void hand_to(unsigned thread)
{
    bool ends = self != MAIN && all.threads[self].state == ENDED; // from the post on it may be started again
    all.current = thread;
    sem_post(&all.threads[thread].turn);
    while (!ends && sem_wait(&all.threads[self].turn) != 0)
        continue;
}

static void sleep_until(const void *word, uint64_t deadline)
{
    struct thread *thread = &all.threads[self];
    thread->state = PARKED;
    thread->word = word;
    thread->deadline = deadline;
}

static void decide(bool yields)
{
    struct option options[OPTIONS_MAX];
    unsigned n = list_options(options, yields);
    if (n == 0) {
        hand_to(MAIN);
        return;
    }
    const struct option *chosen = &options[choose(options, n, yields)];
    all.spent += chosen->preempts;
    if (chosen->stalls || chosen->thread != all.current)
        all.handovers[all.handover_count++] = (struct handover){all.step, chosen->thread};
    if (chosen->stalls) {
        sleep_until(NULL, all.now_ms + all.scenario->stall_ms);
        decide(false);
        return;
    }
    wake(&all.threads[chosen->thread]);
    if (chosen->thread != all.current)
        hand_to(chosen->thread);
}

static void note_step(const char *file, int line)
{
    if (++all.step == STEPS_MAX)
        end_failed("no end after very many steps");
    all.places[all.step] = (struct place){file, line, self};
}

void explore_step(const char *file, int line)
{
    if (!explore_runs())
        return;
    note_step(file, line);
    decide(false);
}

void explore_yield(void)
{
    note_step(__FILE__, __LINE__);
    decide(true);
}

void explore_park(const void *word, uint64_t ms)
{
    note_step(__FILE__, __LINE__);
    sleep_until(word, ms == FOREVER ? FOREVER : all.now_ms + ms);
    decide(false);
}

void explore_unpark(const void *word, unsigned n)
{
    for (unsigned i = 0; i < all.scenario->threads && n > 0; i++) {
        struct thread *thread = &all.threads[i];
        if (thread->state != PARKED || thread->word != word)
            continue;
        thread->state = READY;
        n--;
    }
}

void explore_leave(void)
{
    all.runs = all.must_fail = false;
    signal(SIGALRM, SIG_DFL);
}

// --- Schedules.

static void *run_thread(void *number)
{
    self = (unsigned)(uintptr_t)number;
    for (;;) {
        while (sem_wait(&all.threads[self].turn) != 0)
            continue;
        all.scenario->thread(self);
        all.threads[self].state = ENDED;
        note_step(NULL, 0);
        decide(false);
    }
    return NULL;
}

static bool all_have_ended(void)
{
    for (unsigned i = 0; i < all.scenario->threads; i++)
        if (all.threads[i].state != ENDED)
            return false;
    return true;
}

static void run_threads(void)
{
    all.current = MAIN;
    all.step = all.spent = all.depth = all.handover_count = 0;
    for (unsigned i = 0; i < all.scenario->threads; i++)
        all.threads[i].state = READY;
    all.runs = true;
    decide(false);
    while (!all_have_ended()) {
        struct option options[OPTIONS_MAX];
        if (all.scenario->idle == NULL)
            end_failed("all threads sleep for ever");
        all.scenario->idle();
        all.current = MAIN;
        if (list_options(options, false) == 0)
            end_failed("all threads sleep for ever");
        decide(false);
    }
    all.runs = false;
}

static void run_schedule(void)
{
    alarm(SCHEDULE_SECONDS);
    all.scenario->start();
    run_threads();
    all.scenario->finish();
    all.schedules++;
    if (all.step > all.longest)
        all.longest = all.step;
}

static uint64_t search_all(uint64_t most)
{
    uint64_t before = all.schedules;
    all.mode = SEARCH;
    all.known = 0;
    do
        run_schedule();
    while (next_path() && all.schedules - before < most);
    return all.schedules - before;
}

static void draw_priorities(void)
{
    all.lowest = 1000;
    for (unsigned i = 0; i < all.scenario->threads; i++)
        all.threads[i].priority = all.lowest + 1 + (unsigned)(next_random() % 1000);
    all.change_count = (unsigned)(next_random() % (sizeof all.changes / sizeof all.changes[0]));
    for (unsigned i = 0; i < all.change_count; i++)
        all.changes[i] = 1 + (unsigned)(next_random() % all.longest);
}

static void run_random(unsigned n)
{
    all.mode = RANDOM;
    all.random = all.seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (unsigned i = 0; i < n; i++) {
        draw_priorities();
        run_schedule();
    }
}

static void start_threads(void)
{
    for (unsigned i = 0; i <= MAIN; i++)
        sem_init(&all.threads[i].turn, 0, 0);
    for (unsigned i = 0; i < all.scenario->threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, run_thread, (void *)(uintptr_t)i) != 0)
            abort();
        pthread_detach(thread);
    }
}

// One processor: the turn goes from thread to thread without waking another.
static void stay_on_one_cpu(void)
{
    cpu_set_t set;
    int cpu = sched_getcpu();
    CPU_ZERO(&set);
    CPU_SET(cpu < 0 ? 0 : (size_t)cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static unsigned number(const char *name, const char *text, unsigned otherwise)
{
    return text == NULL || name == NULL ? otherwise : (unsigned)strtoul(text, NULL, 10);
}

static const char *option(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return NULL;
}

static void explore(int argc, char **argv)
{
    const struct explore_scenario *scenario = all.scenario;
    unsigned most = number("", option(argc, argv, "--schedules"), UINT32_MAX);
    unsigned randoms = number("", option(argc, argv, "--randoms"), scenario->randoms);
    unsigned preemptions = number("", option(argc, argv, "--preemptions"), scenario->preemptions);
    all.bound = 0;
    search_all(1); // the first one makes what stays: zones, batches
    all.schedules = all.longest = 0;
    for (; all.bound <= preemptions; all.bound++) {
        uint64_t tried = search_all(most);
        printf("%s: %llu schedules of at most %u preemptions%s\n", scenario->name, (unsigned long long)tried,
               all.bound, tried == most ? ", and there are more" : ", all there are");
        fflush(stdout);
    }
    run_random(randoms);
    printf("%s: %u random schedules, seed %llu; the longest had %u steps\n", scenario->name, randoms,
           (unsigned long long)all.seed, all.longest);
}

int explore_main(const struct explore_scenario *scenario, int argc, char **argv)
{
    all.scenario = scenario;
    all.must_fail = argc > 1 && strcmp(argv[argc - 1], "--must-fail") == 0;
    all.seed = number("", option(argc, argv, "--seed"), 1);
    all.now_ms = 1000;
    signal(SIGABRT, on_signal);
    signal(SIGALRM, on_signal);
    signal(SIGSEGV, on_signal);
    signal(SIGBUS, on_signal);
    stay_on_one_cpu();
    if (scenario->prepare != NULL)
        scenario->prepare();
    start_threads();
    all.replay = option(argc, argv, "--replay");
    if (all.replay != NULL) {
        all.mode = SEARCH;
        search_all(1);
        all.mode = REPLAY;
        run_schedule();
        printf("%s: nothing failed\n", scenario->name);
    } else {
        explore(argc, argv);
    }
    return all.must_fail ? 1 : 0;
}
