// SPDX-License-Identifier: MIT
#include "core/background.h"

#include "../support/dies.h"
#include "buddy/page_heap.h"
#include "core/alloc.h"
#include "core/central.h"
#include "core/init.h"
#include "core/options.h"
#include "core/os.h"
#include "core/tsan.h"
#include <criterion/criterion.h>
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OBJECTS = 20000, SIZE = 1000 };

static void sleep_ms(long ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }

static void start(void)
{
    setenv("TARN_DECAY_MS", "80", 1);
    cr_assert(heap_start());
}

TestSuite(background, .init = start, .timeout = 60);

static void make_garbage(void)
{
    static void *objects[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++)
        memset(objects[i] = alloc_fast(SIZE), 1, SIZE);
    for (size_t i = 0; i < OBJECTS; i++)
        alloc_free_fast(objects[i]);
}

// The tasks of this process, and the name of one that is named so.
static bool has_thread(const char *name)
{
    char path[300], line[300];
    bool found = false;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; (task = readdir(tasks)) != NULL && !found;) {
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        found = fgets(line, sizeof line, file) != NULL && strncmp(line, name, strlen(name)) == 0;
        fclose(file);
    }
    closedir(tasks);
    return found;
}

static bool comes_to_be(bool (*what)(void))
{
    for (int i = 0; i < 2000; i++) {
        if (what())
            return true;
        sleep_ms(5);
    }
    return false;
}

// Between two steps of the thread: in the midst of one, what the kernel works on counts as used.
static bool is_settled(void)
{
    bool held = background_hold(), settled = central_is_settled();
    if (held)
        background_release();
    return settled;
}

static bool is_there(void) { return has_thread("tarn-decay"); }
static bool sleeps(void) { return load_relaxed(&decay_keeper) == KEEPER_ASLEEP; }

Test(background, an_idle_process_gives_its_memory_back)
{
    store_relaxed(&options.background, "always");
    make_garbage();
    cr_assert(comes_to_be(is_settled));
    uint64_t purged = page_heap_counts().pages_purged;
    cr_assert_gt(purged, OBJECTS * SIZE / PAGE_SIZE * 9 / 10, "%llu pages", (unsigned long long)purged);
    cr_assert(has_thread("tarn-decay"));
    cr_assert(comes_to_be(sleeps));
}

Test(background, frees_alone_find_it_there)
{
    store_relaxed(&options.background, "always");
    alloc_free_fast(alloc_fast(1));
    background_ensure(); // as the next slow path of an allocation does
    cr_assert(comes_to_be(is_there));
}

Test(background, it_wakes_when_there_is_something_to_do_again)
{
    store_relaxed(&options.background, "always");
    for (int i = 0; i < 3; i++) {
        uint64_t purged = page_heap_counts().pages_purged;
        make_garbage();
        cr_assert(comes_to_be(is_settled));
        cr_assert_gt(page_heap_counts().pages_purged, purged);
        cr_assert(comes_to_be(sleeps));
    }
}

Test(background, a_process_with_one_thread_stays_one)
{
    make_garbage();
    sleep_ms(200);
    cr_assert_not(has_thread("tarn-decay"));
    cr_assert_not(central_is_settled());
}

static void *use(void *unused)
{
    make_garbage();
    return unused;
}

static void run_a_thread(void)
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, use, NULL), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
}

Test(background, a_process_with_two_gets_it)
{
    alloc_free_fast(alloc_fast(SIZE));
    run_a_thread();
    cr_assert(comes_to_be(is_settled));
    cr_assert(has_thread("tarn-decay"));
}

Test(background, never_is_never)
{
    store_relaxed(&options.background, "never");
    alloc_free_fast(alloc_fast(SIZE));
    run_a_thread();
    sleep_ms(100);
    cr_assert_not(has_thread("tarn-decay"));
}

// No signal of the program may be taken by a thread that the program does not know.
Test(background, it_takes_no_signals)
{
    char path[300], line[300];
    store_relaxed(&options.background, "always");
    make_garbage();
    cr_assert(comes_to_be(is_settled));
    unsigned long long blocked = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        FILE *file = fopen(path, "r");
        bool ours = false;
        while (file != NULL && fgets(line, sizeof line, file) != NULL) {
            ours = ours || strcmp(line, "Name:\ttarn-decay\n") == 0;
            if (ours && strncmp(line, "SigBlk:", 7) == 0)
                blocked = strtoull(line + 7, NULL, 16);
        }
        if (file != NULL)
            fclose(file);
    }
    closedir(tasks);
    for (int signal = 1; signal < 32; signal++)
        cr_assert(signal == SIGKILL || signal == SIGSTOP || (blocked >> (signal - 1) & 1) != 0, "%d", signal);
}

#if !TARN_TSAN // which refuses threads in the child of a process that has several
static void child(void *unused)
{
    (void)unused;
    if (has_thread("tarn-decay") || load_relaxed(&decay_keeper) != KEEPER_NONE)
        abort();
    make_garbage();
    if (!comes_to_be(is_settled) || !has_thread("tarn-decay"))
        abort();
}

Test(background, a_child_of_fork_gets_its_own)
{
    store_relaxed(&options.background, "always");
    make_garbage();
    cr_assert(comes_to_be(is_settled));
    expect_survives(child, NULL);
}
#endif

static bool is_gone(void) { return !has_thread("tarn-decay"); }

Test(background, it_stops_at_the_end)
{
    store_relaxed(&options.background, "always");
    make_garbage();
    background_stop();
    cr_assert(comes_to_be(is_gone));
    make_garbage();
    cr_assert_not(has_thread("tarn-decay"));
}
