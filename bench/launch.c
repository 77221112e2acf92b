// SPDX-License-Identifier: MIT
// Starts a command and tells, on file descriptor 3, what it used: user and system seconds, page faults, and
// the largest resident size in bytes. A program that starts the command itself would leave its own size in
// that.
//
// usage: launch COMMAND [ARGUMENT...]

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPORT = 3 };

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

int main(int argc, char **argv)
{
    struct rusage used;
    int status;
    pid_t child = argc > 1 ? fork() : -1;
    if (child == 0) {
        close(REPORT);
        execvp(argv[1], argv + 1);
        perror(argv[1]);
        _exit(127);
    }
    while (child > 0 && wait4(child, &status, 0, &used) != child)
        if (errno != EINTR)
            return 127;
    if (child <= 0)
        return 127;
    dprintf(REPORT, "%.6f %.6f %ld %ld\n", seconds(used.ru_utime), seconds(used.ru_stime),
            used.ru_minflt + used.ru_majflt, used.ru_maxrss * 1024);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}
