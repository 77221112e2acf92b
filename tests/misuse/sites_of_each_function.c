// SPDX-License-Identifier: MIT
// A block of each function that allocates is freed twice, the first time by each function that frees, in
// children; the last pair ends the program itself. What a child said is held against the two places here.
// harden: 2
// expect: tarn: double free of %p%allocated%freed

#include "sites.h"

#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>

void *new (size_t size) __asm__("_Znwm");
void *new_nothrow(size_t size, const void *tag) __asm__("_ZnwmRKSt9nothrow_t");
void *new_aligned(size_t size, size_t align) __asm__("_ZnwmSt11align_val_t");
void delete (void *p) __asm__("_ZdlPv");
void delete_sized(void *p, size_t size) __asm__("_ZdlPvm");
#pragma weak new
#pragma weak new_nothrow
#pragma weak new_aligned
#pragma weak delete
#pragma weak delete_sized

enum { SMALL = 100, LARGE = 200000 };

#define ALLOCATE(name, call)                                                                                 \
    ALLOCATING static void *by_##name(size_t size)                                                           \
    {                                                                                                        \
        void *p = call;                                                                                      \
        AFTER_CALL();                                                                                        \
        return p;                                                                                            \
    }
#define RELEASE(name, call)                                                                                  \
    FREEING static void by_##name(void *p, size_t size)                                                      \
    {                                                                                                        \
        (void)size, (void)(call);                                                                            \
        AFTER_CALL();                                                                                        \
    }

static void *got;
static void *some, *nearly; // blocks for those that take one: the second has room for as much as is asked for

ALLOCATE(malloc, malloc(size))
ALLOCATE(calloc, calloc(1, size))
ALLOCATE(realloc, realloc(some, size))
ALLOCATE(realloc_of_nothing, realloc(NULL, size))
ALLOCATE(realloc_in_place, realloc(nearly, size))
ALLOCATE(reallocarray, reallocarray(some, 1, size))
ALLOCATE(aligned_alloc, aligned_alloc(64, size))
ALLOCATE(memalign, memalign(64, size))
ALLOCATE(posix_memalign, posix_memalign(&got, 64, size) == 0 ? got : NULL)
ALLOCATE(valloc, valloc(size))
ALLOCATE(new, new (size))
ALLOCATE(new_nothrow, new_nothrow(size, ""))
ALLOCATE(new_aligned, new_aligned(size, 64))

static void *(*const allocators[])(size_t) = {
    by_malloc,       by_calloc,        by_realloc,     by_realloc_of_nothing, by_realloc_in_place,
    by_reallocarray, by_aligned_alloc, by_memalign,    by_posix_memalign,     by_valloc,
    by_new,          by_new_nothrow,   by_new_aligned,
};

RELEASE(free, (free(p), 0))
RELEASE(realloc_to_nothing, realloc(p, 0) == NULL)
RELEASE(moving, realloc(p, size == LARGE ? LARGE / 2 : 3 * size) == NULL) // a large one might grow in place
RELEASE(free_sized, (free_sized(p, size), 0))
RELEASE(free_aligned_sized, (free_aligned_sized(p, 1, size), 0))
RELEASE(delete, (delete (p), 0))
RELEASE(delete_sized, (delete_sized(p, size), 0))

static void (*const releasers[])(void *, size_t) = {
    by_free,   by_realloc_to_nothing, by_moving, by_free_sized, by_free_aligned_sized,
    by_delete, by_delete_sized,
};

#define MANY(array) (sizeof(array) / sizeof(array)[0])

static _Noreturn void free_twice(size_t a, size_t f, size_t size, bool last)
{
    some = malloc(8);
    nearly = malloc(size - 1);
    void *p = allocators[a](size);
    if (last) {
        show(p);
        show_sites(program_start);
    }
    releasers[f](p, size);
    free(hide(p));
    _exit(1);
}

// What a child said, from a pipe.
static void listen(size_t a, size_t f, size_t size, char *said, size_t room)
{
    int ends[2];
    if (pipe(ends) != 0)
        _exit(2);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        free_twice(a, f, size, false);
    }
    close(ends[1]);
    ssize_t n = read(ends[0], said, room - 1);
    said[n > 0 ? n : 0] = '\0';
    close(ends[0]);
    waitpid(child, NULL, 0);
}

static int lies_in(const char *said, const char *what, const char *start, const char *stop)
{
    const char *at = strstr(said, what);
    at = at == NULL ? NULL : strchr(at, '+');
    const char *place = at == NULL ? NULL : program_start + strtoul(at + 1, NULL, 16);
    return place != NULL && place > start && place <= stop;
}

static void expect_told(size_t a, size_t f, size_t size)
{
    char said[300];
    listen(a, f, size, said, sizeof said);
    if (lies_in(said, ", allocated at ", allocating_start, allocating_stop) &&
        lies_in(said, ", freed at ", freeing_start, freeing_stop))
        return;
    dprintf(STDERR_FILENO, "allocating %zu, freeing %zu, %zu bytes: %s", a, f, size, said);
    _exit(2);
}

int main(void)
{
    for (size_t a = 0; a < MANY(allocators); a++)
        for (size_t size = SMALL; size <= LARGE; size += LARGE - SMALL)
            expect_told(a, 0, size);
    for (size_t f = 0; f < MANY(releasers); f++)
        for (size_t size = SMALL; size <= LARGE; size += LARGE - SMALL)
            expect_told(0, f, size);
    free_twice(0, 0, SMALL, true);
}
