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

#endif
