// SPDX-License-Identifier: MIT
// A shared object to preload before the library: the FAULT_NTH-th call of the kind FAULT_KIND fails, as the
// kernel or the C library could let it fail. Any thread.
#define _GNU_SOURCE
#include "inject.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int fired;
static atomic_long calls;
static atomic_int disarmed;

int fault_fired(void) { return atomic_load(&fired); }
void fault_disarm(void) { atomic_store(&disarmed, 1); }

static struct {
    const char *kind;
    long nth;
    int known;
} wanted;

// The library's first call comes before any constructor of ours, with one thread. Later the environment must
// not be looked at: setenv may be about to free it.
static void look_once(void)
{
    if (wanted.known)
        return;
    const char *kind = getenv("FAULT_KIND"), *nth = getenv("FAULT_NTH");
    wanted.kind = kind == NULL ? "" : kind;
    wanted.nth = nth == NULL ? 0 : strtol(nth, NULL, 10);
    wanted.known = 1;
}

static int is_due(const char *kind)
{
    look_once();
    if (atomic_load(&disarmed) || strcmp(wanted.kind, kind) != 0 ||
        atomic_fetch_add(&calls, 1) + 1 != wanted.nth)
        return 0;
    atomic_store(&fired, 1);
    return 1;
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (is_due("mmap")) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

int mprotect(void *address, size_t size, int protection)
{
    if (is_due("mprotect")) {
        errno = ENOMEM;
        return -1;
    }
    return (int)syscall(SYS_mprotect, address, size, protection);
}

int madvise(void *address, size_t size, int advice)
{
    if (is_due("madvise")) {
        errno = EAGAIN;
        return -1;
    }
    return (int)syscall(SYS_madvise, address, size, advice);
}

// The library's futexes. Only the wait fails, as a signal lets it; a wake of a mapped word cannot.
long syscall(long number, ...)
{
    static long (*real)(long number, ...);
    long a[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_futex && (a[1] & FUTEX_CMD_MASK) == FUTEX_WAIT && is_due("futex")) {
        errno = EINTR;
        return -1;
    }
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *arg)
{
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (is_due("pthread_create"))
        return EAGAIN;
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attributes, body, arg);
}

int pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
    static int (*real)(pthread_key_t *, void (*)(void *));
    if (is_due("pthread_key_create"))
        return EAGAIN;
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_key_create");
    return real(key, destructor);
}
