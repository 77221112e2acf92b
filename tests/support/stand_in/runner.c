// SPDX-License-Identifier: MIT
// Runs each test in a process of its own. This process must not allocate, or the tests would not start with a
// fresh heap: hence dprintf, and a list of static entries.

#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PASSED = 0, FAILED = 1, SKIPPED = 77 };

// Where this runner is used processors are often emulated.
#define SLOWNESS 10
#define DEFAULT_SECONDS 60

static struct stand_in_test *tests;
static volatile bool failed;

void stand_in_add(struct stand_in_test *test)
{
    test->next = tests;
    tests = test;
}

static void complain(const char *file, int line, const char *condition, const char *format, va_list arguments)
{
    char text[512];
    vsnprintf(text, sizeof text, format, arguments);
    dprintf(STDERR_FILENO, "%s:%d: %s does not hold. %s\n", file, line, condition, text);
    failed = true;
}

void stand_in_note(const char *file, int line, const char *condition, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(file, line, condition, format, arguments);
    va_end(arguments);
}

void stand_in_stop(const char *file, int line, const char *condition, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(file, line, condition, format, arguments);
    _exit(FAILED);
}

void stand_in_skip(void) { _exit(SKIPPED); }

static struct stand_in_options options_of_suite(const char *suite)
{
    for (struct stand_in_test *t = tests; t != NULL; t = t->next)
        if (t->name == NULL && strcmp(t->suite, suite) == 0)
            return t->options;
    return (struct stand_in_options){.none = true};
}

static struct stand_in_options options_of(const struct stand_in_test *test)
{
    struct stand_in_options own = test->options, suite = options_of_suite(test->suite);
    if (own.init == NULL)
        own.init = suite.init;
    if (own.fini == NULL)
        own.fini = suite.fini;
    if (own.timeout == 0)
        own.timeout = suite.timeout != 0 ? suite.timeout : DEFAULT_SECONDS;
    return own;
}

static _Noreturn void run_here(const struct stand_in_test *test, const struct stand_in_options *options)
{
    if (options->signal != 0)
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    alarm((unsigned)options->timeout * SLOWNESS);
    if (options->init != NULL)
        options->init();
    test->body();
    if (options->fini != NULL)
        options->fini();
    exit(failed ? FAILED : PASSED);
}

// What the test ended with, when that is not what it should have ended with.
static int run(const struct stand_in_test *test)
{
    struct stand_in_options options = options_of(test);
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        run_here(test, &options);
    waitpid(child, &status, 0);
    if (options.signal != 0 && WIFSIGNALED(status) && WTERMSIG(status) == options.signal)
        return PASSED;
    return options.signal != 0 && status == 0 ? FAILED : status;
}

// Whether STAND_IN_SKIP, a list of words, has the test.
static bool is_left_out(const struct stand_in_test *test)
{
    const char *list = getenv("STAND_IN_SKIP"), *at = list;
    char name[128];
    int length = snprintf(name, sizeof name, "%s/%s", test->suite, test->name);
    while (at != NULL && (at = strstr(at, name)) != NULL) {
        char after = at[length];
        if ((at == list || at[-1] == ' ') && (after == '\0' || after == ' '))
            return true;
        at++;
    }
    return false;
}

static bool is_wanted(const struct stand_in_test *test, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(test->name, argv[i]) == 0)
            return true;
    return argc == 1;
}

// usage: PROGRAM [NAME...]
int main(int argc, char **argv)
{
    int passed = 0, skipped = 0, faults = 0;
    for (struct stand_in_test *t = tests; t != NULL; t = t->next) {
        if (t->name == NULL || !is_wanted(t, argc, argv))
            continue;
        int status = is_left_out(t) ? SKIPPED << 8 : run(t);
        bool skips = WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED;
        passed += status == PASSED;
        skipped += skips;
        faults += status != PASSED && !skips;
        if (status != PASSED)
            dprintf(STDERR_FILENO, "%s/%s: %s, status %x\n", t->suite, t->name, skips ? "skipped" : "failed",
                    (unsigned)status);
    }
    dprintf(STDERR_FILENO, "passed: %d, skipped: %d, failed: %d\n", passed, skipped, faults);
    return faults != 0 || passed + skipped == 0;
}
