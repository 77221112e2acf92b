// SPDX-License-Identifier: MIT
// Many threads each allocate and free one block of a hundred sizes, or many of each, then wait. What each of
// them holds is what the process has grown by beyond a process whose threads, as many, allocated nothing.
//
// options: --busy ROUNDS (0): so often each thread holds 64 KiB of each size, and frees them; --settle MS
// (2000); --threads 500 is what it is meant for

#include "memory.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZES = 100, BUSY_BYTES = 64 << 10, BUSY_LEAST = 2 };

static uint64_t busy_rounds;
static size_t *baseline; // shared with the child that measures it

// Eight sizes for each doubling, from 16 bytes on.
static size_t size_of_step(unsigned i) { return (size_t)(8 + i % 8) << (i / 8 + 1); }

static void *wait_only(void *unused)
{
    memory_meet("idle");
    memory_settle();
    return unused;
}

static void use_much(size_t size)
{
    char *blocks[BUSY_BYTES / 16];
    size_t n = BUSY_BYTES / size < BUSY_LEAST ? BUSY_LEAST : BUSY_BYTES / size;
    for (size_t i = 0; i < n; i++)
        blocks[i] = memory_new(size);
    for (size_t i = 0; i < n; i++)
        memory_free(blocks[i]);
}

static void *touch_and_wait(void *unused)
{
    memory_meet("touch");
    for (unsigned i = 0; i < SIZES; i++)
        memory_free(memory_new(size_of_step(i)));
    for (unsigned n = 0; n < SIZES * busy_rounds; n++)
        use_much(size_of_step(n % SIZES));
    memory_settle();
    return unused;
}

// As work_run, whose threads start at the same moment, which takes long for so many.
static void run_all(void *(*body)(void *))
{
    static pthread_t threads[WORK_THREADS_MAX];
    for (unsigned i = 0; i < work_threads; i++)
        if (pthread_create(&threads[i], NULL, body, NULL) != 0)
            work_fail("a thread could not be started");
    for (unsigned i = 0; i < work_threads; i++)
        pthread_join(threads[i], NULL);
}

// In a child, so that neither leaves anything for the other.
static void measure_baseline(void)
{
    pid_t child = fork();
    int status = 1;
    if (child == 0) {
        memory_begin();
        run_all(wait_only);
        *baseline = memory_settled_rss();
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        work_fail("the baseline could not be measured");
}

int main(int argc, char **argv)
{
    memory_settle_ms = 2000;
    work_start(argc, argv,
               (struct work_option[]){{"busy", &busy_rounds}, {"settle", &memory_settle_ms}, {0}});
    baseline = memory_table(sizeof *baseline);
    if (mmap(baseline, MEMORY_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
        MAP_FAILED)
        work_fail("no memory for the baseline");
    measure_baseline();
    memory_begin();
    run_all(touch_and_wait);
    memory_end();
    double more = (double)memory_settled_rss() - (double)*baseline;
    work_result("baseline_rss", (double)*baseline, "bytes");
    work_result("kib_per_thread", more / 1024 / work_threads, "KiB");
    return 0;
}
