// SPDX-License-Identifier: MIT
// The allocator under test as mem_*: the malloc family, or with TARN_TEST_PREFIXED defined its tarn_ twins.
// Any thread may call through these pointers; nobody writes them.

#ifndef TESTS_SUPPORT_NAMES_H
#define TESTS_SUPPORT_NAMES_H

#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// Volatile pointers, because a compiler that sees `malloc` itself may believe its attributes: it would fold
// the very comparisons (alignment, distinctness, size limits) that the tests are about.
#define MEM_ENTRY __attribute__((unused)) static

#ifdef TARN_TEST_PREFIXED

#include <tarn/tarn.h>
#define MEM_NAME(plain, prefixed) prefixed

#else

#define MEM_NAME(plain, prefixed) plain

#endif

MEM_ENTRY void *(*volatile mem_malloc)(size_t) = MEM_NAME(malloc, tarn_malloc);
MEM_ENTRY void *(*volatile mem_calloc)(size_t, size_t) = MEM_NAME(calloc, tarn_calloc);
MEM_ENTRY void *(*volatile mem_realloc)(void *, size_t) = MEM_NAME(realloc, tarn_realloc);
MEM_ENTRY void *(*volatile mem_reallocarray)(void *, size_t, size_t) = MEM_NAME(reallocarray,
                                                                                tarn_reallocarray);
MEM_ENTRY void (*volatile mem_free)(void *) = MEM_NAME(free, tarn_free);
MEM_ENTRY void *(*volatile mem_aligned_alloc)(size_t, size_t) = MEM_NAME(aligned_alloc, tarn_aligned_alloc);
MEM_ENTRY void *(*volatile mem_memalign)(size_t, size_t) = MEM_NAME(memalign, tarn_memalign);
MEM_ENTRY int (*volatile mem_posix_memalign)(void **, size_t, size_t) = MEM_NAME(posix_memalign,
                                                                                 tarn_posix_memalign);
MEM_ENTRY void *(*volatile mem_valloc)(size_t) = MEM_NAME(valloc, tarn_valloc);
MEM_ENTRY void *(*volatile mem_pvalloc)(size_t) = MEM_NAME(pvalloc, tarn_pvalloc);

#ifdef TARN_TEST_PREFIXED
MEM_ENTRY size_t (*volatile mem_usable_size)(const void *) = tarn_usable_size;
#else
MEM_ENTRY size_t (*volatile mem_usable_size)(void *) = malloc_usable_size;
#endif

#endif
