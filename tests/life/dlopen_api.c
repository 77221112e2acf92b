// SPDX-License-Identifier: MIT
// The library that replaces nothing, loaded while threads are already running, used by them and by later
// ones. usage: dlopen_api PATH-OF-LIBTARN-API [TIMES]

#define _GNU_SOURCE
#include "../support/checks.h"
#include "../support/fill.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

enum { EARLIER = 4, LATER = 4 };

static void *(*api_malloc)(size_t);
static void *(*api_calloc)(size_t, size_t);
static void *(*api_realloc)(void *, size_t);
static void (*api_free)(void *);
static pthread_barrier_t loaded;

// ISO C has no cast from dlsym's result to a function.
static void find(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);
    expect(found != NULL);
    memcpy(function, &found, sizeof found);
}

static void load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        dprintf(STDERR_FILENO, "%s\n", dlerror());
    expect(library != NULL);
    find(library, "tarn_malloc", &api_malloc);
    find(library, "tarn_calloc", &api_calloc);
    find(library, "tarn_realloc", &api_realloc);
    find(library, "tarn_free", &api_free);
}

static void *work(void *unused)
{
    for (size_t size = 1; size < 200000; size += size / 7 + 1) {
        unsigned char *a = api_malloc(size), *b = api_calloc(1, size), *system = malloc(size);
        expect(a != NULL && b != NULL && system != NULL && a != b && fill_is_zero(b, size));
        fill(a, size, 1);
        fill(b, size, 2);
        fill(system, size, 3);
        a = api_realloc(a, 2 * size);
        expect(fill_stands(a, size, 1) && fill_stands(b, size, 2) && fill_stands(system, size, 3));
        api_free(a);
        api_free(b);
        free(system);
    }
    return unused;
}

static void *wait_then_work(void *unused)
{
    pthread_barrier_wait(&loaded);
    return work(unused);
}

static void live_as_child(const char *path)
{
    pthread_t thread[EARLIER + LATER];
    limit_seconds(60);
    pthread_barrier_init(&loaded, NULL, EARLIER + 1);
    for (int i = 0; i < EARLIER; i++)
        expect(pthread_create(&thread[i], NULL, wait_then_work, NULL) == 0);
    load(path);
    pthread_barrier_wait(&loaded);
    for (int i = EARLIER; i < EARLIER + LATER; i++)
        expect(pthread_create(&thread[i], NULL, work, NULL) == 0);
    work(NULL);
    for (int i = 0; i < EARLIER + LATER; i++)
        expect(pthread_join(thread[i], NULL) == 0);
    exit(0);
}

int main(int argc, char **argv)
{
    unsigned times = argument(argc, argv, 2, 20);
    expect(argc > 1);
    limit_seconds(120);
    for (unsigned i = 0; i < times; i++) {
        pid_t child = fork();
        if (child == 0)
            live_as_child(argv[1]);
        expect_child_exits(child, 0);
    }
    return 0;
}
