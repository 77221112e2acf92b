// SPDX-License-Identifier: MIT
// For the programs whose lines say where a block was allocated and freed: they tell the driver where those
// places are. Any thread.

#ifndef TESTS_SITES_H
#define TESTS_SITES_H

#include "misuse.h"

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

ALLOCATING static void *allocate(size_t size)
{
    void *p = malloc(size);
    AFTER_CALL();
    return p;
}

FREEING static void release(void *p)
{
    free(p);
    AFTER_CALL();
}

#endif
