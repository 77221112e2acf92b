// SPDX-License-Identifier: MIT
// Short-lived processes on a cold heap: each allocates some megabytes of mixed sizes, writes to all of it,
// frees it and ends, so that start, first touch and end are the work. The program starts itself anew for
// each.
//
// options: --bytes N (4 MB) in each process

#include "work.h"
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

static uint64_t bytes = 4000000, child;

static void live(void)
{
    enum { BLOCKS_MOST = 100000 };
    static char *blocks[BLOCKS_MOST];
    uint64_t random = work_seed;
    size_t n = 0;
    for (size_t sum = 0; sum < bytes && n < BLOCKS_MOST; n++) {
        size_t size = random_pareto(&random, 32, 100000);
        blocks[n] = work_need(malloc(size));
        memset(blocks[n], 1, size);
        sum += size;
    }
    while (n-- > 0)
        free(blocks[n]);
}

static void *start_processes(void *arg)
{
    struct worker *self = arg;
    char amount[24], seed[24];
    snprintf(amount, sizeof amount, "%llu", (unsigned long long)bytes);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)work_seed);
    const char *command[] = {"first", "--child", "1", "--bytes", amount, "--seed", seed, NULL};
    for (size_t n = work_share(600); self->count < n; self->count++) {
        pid_t pid;
        int status;
        if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, (char **)(uintptr_t)command, environ) != 0 ||
            waitpid(pid, &status, 0) != pid || status != 0)
            work_fail("a process could not be started");
    }
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv, (struct work_option[]){{"bytes", &bytes}, {"child", &child}, {0}});
    if (child != 0) {
        live();
        return 0;
    }
    double seconds = work_run(work_threads, start_processes);
    work_rate("processes/s", work_count(), seconds);
    return 0;
}
