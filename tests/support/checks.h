// SPDX-License-Identifier: MIT
// What the programs that run for a while share: assertions, time limits, children, counts from the command
// line. Any thread.

#ifndef TESTS_SUPPORT_CHECKS_H
#define TESTS_SUPPORT_CHECKS_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C"
#endif
    int
    tarn_validate(void) __attribute__((weak));

// Ends the process at once: exit handlers would only add to the confusion, and the other threads still run.
#define expect(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            dprintf(STDERR_FILENO, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);             \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

// Says nothing where the library does not offer to look through its own structures.
static inline void expect_heap_is_whole(void)
{
    if (tarn_validate != NULL)
        expect(tarn_validate() == 0);
}

static inline unsigned argument(int argc, char **argv, int index, unsigned otherwise)
{
    return index < argc ? (unsigned)strtoul(argv[index], NULL, 10) : otherwise;
}

// SIGALRM, which nobody here catches, ends a process that hangs: `seconds` is ample on a machine that does
// nothing else, and others may be five times as slow.
static inline void limit_seconds(unsigned seconds) { alarm(5 * seconds); }

// On Linux this concerns the calling thread alone.  Threads that only make trouble let those go first that
// are waited for, or thousands of forks would take minutes.
static inline void be_nice(void) { setpriority(PRIO_PROCESS, 0, 10); }

static inline void sleep_ms(int milliseconds) { poll(NULL, 0, milliseconds); }

enum { CHILD_NAPS = 30000, CHILD_NAP_MS = 10 }; // five minutes or more

// Counts naps, not time: what holds up the child of a busy or stopped process holds up its parent's naps too.
static inline int child_ends(struct pollfd *handle)
{
    for (int naps = 0; naps < CHILD_NAPS; naps++)
        if (poll(handle, 1, CHILD_NAP_MS) > 0)
            return 1;
    return 0;
}

// A child that hangs must not outlive the test: alarm() is not inherited, and may not be reached.
static inline void expect_child_exits(pid_t child, int wanted)
{
    int status = 0;
    expect(child > 0);
    struct pollfd handle = {(int)syscall(SYS_pidfd_open, child, 0), POLLIN, 0};
    expect(handle.fd >= 0);
    if (!child_ends(&handle)) {
        kill(child, SIGKILL);
        dprintf(STDERR_FILENO, "child %d hangs\n", child);
        _exit(1);
    }
    close(handle.fd);
    expect(waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status))
        dprintf(STDERR_FILENO, "child %d ended by signal %d\n", child, WTERMSIG(status));
    expect(WIFEXITED(status) && WEXITSTATUS(status) == wanted);
}

// Reads with plain system calls, since stdio would allocate.
static inline size_t resident_kib(void)
{
    char text[128] = "";
    unsigned long total = 0, resident = 0;
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    expect(file >= 0 && read(file, text, sizeof text - 1) > 0);
    close(file);
    expect(sscanf(text, "%lu %lu", &total, &resident) == 2);
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

// What was freed may go back to the kernel a little later, and only while the program still allocates.
static inline void expect_memory_settles(size_t start_kib, size_t margin_kib)
{
    size_t now = resident_kib();
    for (int tries = 0; tries < 150 && now > start_kib + margin_kib; tries++) {
        sleep_ms(100);
        void *volatile large = malloc((size_t)1 << 20);
        void *volatile small = malloc(100);
        free(large);
        free(small);
        now = resident_kib();
    }
    printf("resident: %zu KiB at the start, %zu KiB at the end\n", start_kib, now);
    expect(now <= start_kib + margin_kib);
}

#endif
