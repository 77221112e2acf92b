// SPDX-License-Identifier: MIT
// walk KIND: runs a scenario once for each call of the kind that it makes, with just that call failing, until
// a run has no such call any more. What the program was given stays intact, what it gave back is not lost,
// and afterwards all goes on as if nothing had happened.
//
// FAULT_STEP: only each so many-th of these calls fails. FAULT_BURST: so many blocks are enough of a burst.
//
// walk once: the scenario itself; the library is preloaded, and before it inject.c, without which nothing
// fails.
#define _GNU_SOURCE
#include "inject.h"

#include "../support/checks.h"
#include "../support/fill.h"
#include <pthread.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

int tarn_stats_print(int format, void (*write)(void *arg, const char *text, size_t n), void *arg)
    __attribute__((weak));
size_t tarn_collect(void) __attribute__((weak));

extern char **environ;

enum { SIZES = 40, BURST_MAX = 1500, BURST_SIZE = 1000, RUNS_MAX = 30000, NO_FAULT = 77, SLACK = 4096 };

static bool must_succeed; // else an allocation may be refused, once

static size_t size_of(unsigned i) { return i < 30 ? 8 + 37 * (size_t)i * i : (size_t)(i - 29) * 20000; }

static void *checked(void *block, size_t size, unsigned seed)
{
    expect(block != NULL || !must_succeed);
    if (block != NULL)
        fill(block, size, seed);
    return block;
}

static void release(void *block, size_t size, unsigned seed)
{
    if (block != NULL)
        expect(fill_stands(block, size, seed));
    free(block);
}

static void use_sizes(void)
{
    void *blocks[SIZES];
    for (unsigned i = 0; i < SIZES; i++) {
        size_t size = size_of(i);
        void *block = i % 4 == 1   ? calloc(1, size)
                      : i % 4 == 2 ? aligned_alloc((size_t)64 << (i % 12), size)
                                   : malloc(size);
        if (block != NULL && i % 4 == 1)
            expect(fill_is_zero(block, size));
        blocks[i] = checked(block, size, i);
    }
    for (unsigned i = 0; i < SIZES; i++) {
        size_t size = size_of(i), other = i % 3 == 0 ? size / 2 + 1 : size + size / 2;
        void *moved = blocks[i] == NULL ? NULL : realloc(blocks[i], other);
        if (moved == NULL) {
            expect(blocks[i] == NULL || !must_succeed);
            release(blocks[i], size, i);
            continue;
        }
        expect(fill_stands(moved, size < other ? size : other, i));
        fill(moved, other, i);
        release(moved, other, i);
    }
}

static void *burst[BURST_MAX];

// Of a variable of the environment, else `usual`.
static unsigned long number_of(const char *name, unsigned long usual, unsigned long most)
{
    const char *text = getenv(name);
    unsigned long number = text == NULL ? usual : strtoul(text, NULL, 10);
    expect(number > 0 && number <= most);
    return number;
}

static unsigned burst_length(void) { return (unsigned)number_of("FAULT_BURST", BURST_MAX, BURST_MAX); }

static void *free_odd(void *unused)
{
    for (unsigned i = 1; i < burst_length(); i += 2)
        release(burst[i], BURST_SIZE, i);
    use_sizes();
    return unused;
}

static void use_threads(void)
{
    pthread_t thread;
    for (unsigned i = 0; i < burst_length(); i++)
        burst[i] = checked(malloc(BURST_SIZE), BURST_SIZE, i);
    bool runs = pthread_create(&thread, NULL, free_odd, NULL) == 0;
    if (!runs)
        free_odd(NULL);
    for (unsigned i = 0; i < burst_length(); i += 2)
        release(burst[i], BURST_SIZE, i);
    if (runs)
        expect(pthread_join(thread, NULL) == 0);
}

// What was freed decays meanwhile, on slow paths and by the background thread.
static void let_decay(void)
{
    for (unsigned i = 0; i < 3; i++) {
        sleep_ms(8);
        release(checked(malloc(300000), 300000, i), 300000, i);
        release(checked(malloc(3000), 3000, i), 3000, i);
    }
}

static void use_fork(void)
{
    pid_t child = fork();
    if (child == 0) {
        use_sizes();
        expect_heap_is_whole();
        _exit(0);
    }
    expect_child_exits(child, 0);
}

static void pass(void)
{
    use_sizes();
    use_threads();
    let_decay();
    use_fork();
    if (tarn_collect != NULL)
        tarn_collect();
    expect_heap_is_whole();
}

static void append(void *text, const char *more, size_t n) { strncat(text, more, n); }

static size_t live_bytes(void)
{
    static char text[64 << 10];
    text[0] = '\0';
    expect(tarn_stats_print(1, append, text) == 0);
    const char *live = strstr(text, "\"live_bytes\": ");
    expect(live != NULL);
    return strtoul(live + strlen("\"live_bytes\": "), NULL, 10);
}

// A file that the walk and its runs share: how much is live at the end.
static int result_file(void) { return (int)strtol(getenv("FAULT_RESULT"), NULL, 10); }

static int scenario(void)
{
    limit_seconds(60);
    pass();
    bool fired = fault_fired != NULL && fault_fired();
    if (fault_disarm != NULL)
        fault_disarm();
    must_succeed = true;
    pass();
    size_t live = live_bytes();
    expect(pwrite(result_file(), &live, sizeof live, 0) == sizeof live);
    return fired ? 0 : NO_FAULT;
}

static int run(char *program, const char *kind, unsigned nth, size_t *live)
{
    char number[16], once[] = "once";
    pid_t child;
    int status;
    snprintf(number, sizeof number, "%u", nth);
    setenv("FAULT_KIND", kind, 1);
    setenv("FAULT_NTH", number, 1);
    expect(posix_spawn(&child, program, NULL, NULL, (char *[]){program, once, NULL}, environ) == 0);
    expect(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != NO_FAULT)) {
        printf("%s: the run with fault %u ended with status %x\n", kind, nth, (unsigned)status);
        exit(1);
    }
    expect(pread(result_file(), live, sizeof *live, 0) == sizeof *live);
    return WEXITSTATUS(status);
}

static int walk(char *program, const char *kind)
{
    char number[16];
    snprintf(number, sizeof number, "%d", memfd_create("result", 0));
    setenv("FAULT_RESULT", number, 1);
    size_t usual, live;
    expect(run(program, "none", 0, &usual) == NO_FAULT);
    unsigned nth = 1, runs = 0, step = (unsigned)number_of("FAULT_STEP", 1, RUNS_MAX);
    for (; run(program, kind, nth, &live) != NO_FAULT; nth += step, runs++) {
        if (live > usual + SLACK) {
            printf("%s: after fault %u %zu bytes are live, else %zu\n", kind, nth, live, usual);
            return 1;
        }
        expect(nth < RUNS_MAX);
    }
    printf("%s: %u calls failed in turn\n", kind, runs);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "once") == 0)
        return scenario();
    return argc == 2 ? walk(argv[0], argv[1]) : 2;
}
