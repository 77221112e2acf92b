// SPDX-License-Identifier: MIT
// What the programs of this folder share: they tell the driver a pointer and hide it from the compiler.
// Any thread.

#ifndef TESTS_MISUSE_H
#define TESTS_MISUSE_H

#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// Weak: older C libraries do not have these, and without them a program ends with status 77.
void free_sized(void *p, size_t size) __attribute__((weak));
void free_aligned_sized(void *p, size_t alignment, size_t size) __attribute__((weak));

// A compiler that knew where a pointer comes from would refuse to compile the defect.
static inline void *hide(const void *p)
{
    volatile uintptr_t number = (uintptr_t)p;
    return (void *)number;
}

// `%p` in a program's expectation is what it shows first, `%2` what it shows second.
static inline void *show(const void *p)
{
    dprintf(STDOUT_FILENO, "%p\n", p);
    return hide(p);
}

static inline void show_usable_size(void *p) { dprintf(STDOUT_FILENO, "%zu\n", malloc_usable_size(p)); }

// Functions that allocate and free, and nothing else, so that a line's places must lie between them.
#define ALLOCATING __attribute__((noinline, used, section("allocating")))
#define FREEING __attribute__((noinline, used, section("freeing")))
extern const char program_start[] __asm__("__executable_start") __attribute__((weak));
extern const char allocating_start[] __asm__("__start_allocating") __attribute__((weak));
extern const char allocating_stop[] __asm__("__stop_allocating") __attribute__((weak));
extern const char freeing_start[] __asm__("__start_freeing") __attribute__((weak));
extern const char freeing_stop[] __asm__("__stop_freeing") __attribute__((weak));

// Behind what was called, so that the call is no jump.
#define AFTER_CALL() __asm__ volatile("" ::: "memory")

// For %allocated and %freed: where those functions lie, from the start of the program, or in memory without
// `base`.
static inline void show_sites(const char *base)
{
    const char *const ends[] = {allocating_start, allocating_stop, freeing_start, freeing_stop};
    for (int i = 0; i < 4; i++)
        dprintf(STDOUT_FILENO, "%#tx\n", ends[i] - base);
    if (base != NULL)
        dprintf(STDOUT_FILENO, "%s+\n", program_invocation_short_name);
}

#endif
