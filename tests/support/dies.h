// SPDX-License-Identifier: MIT
// Runs a function that is expected to end its process, in a child, and catches its last words.
// One thread at a time.
#ifndef TESTS_SUPPORT_DIES_H
#define TESTS_SUPPORT_DIES_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static inline void read_all(int fd, char *text, size_t size)
{
    size_t length = 0;
    for (ssize_t n; length + 1 < size && (n = read(fd, text + length, size - 1 - length)) > 0;)
        length += (size_t)n;
    text[length] = '\0';
}

// The child's standard error in `text`; returns its wait status.
static inline int run_in_child(void (*body)(void *arg), void *arg, char *text, size_t size)
{
    int ends[2], status = 0;
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        body(arg);
        _exit(0);
    }
    close(ends[1]);
    read_all(ends[0], text, size);
    close(ends[0]);
    cr_assert_eq(waitpid(child, &status, 0), child);
    return status;
}

// Leaves out where a line says that the block was allocated and freed.
static inline void leave_out_sites(char *text)
{
    char *sites = strstr(text, ", allocated at ");
    if (sites != NULL)
        memcpy(sites, "\n", sizeof "\n");
}

// The child must abort and say exactly `line`, but for sites.
static inline void expect_aborts(void (*body)(void *arg), void *arg, const char *line)
{
    char text[1024];
    int status = run_in_child(body, arg, text, sizeof text);
    leave_out_sites(text);
    cr_assert_str_eq(text, line);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %x", (unsigned)status);
}

static inline void write_to(void *p)
{
    signal(SIGSEGV, SIG_DFL); // a sanitizer would end the process in its own way
    *(volatile char *)p = 1;
}

// Whether a write to p ends the process.
static inline bool faults(void *p)
{
    char text[64];
    int status = run_in_child(write_to, p, text, sizeof text);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

// The child must say nothing and come to its end.
static inline void expect_survives(void (*body)(void *arg), void *arg)
{
    char text[1024];
    int status = run_in_child(body, arg, text, sizeof text);
    cr_assert_str_eq(text, "");
    cr_assert_eq(status, 0, "status %x", (unsigned)status);
}

#endif
