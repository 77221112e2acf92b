// SPDX-License-Identifier: MIT
// What AddressSanitizer, in builds with it, or valgrind's memcheck, when the process runs under it, is told
// about memory: the one place for such marks. Any thread, on memory that it owns.
#ifndef TARN_MARKED_MARKS_H
#define TARN_MARKED_MARKS_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define TARN_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TARN_ASAN 1
#endif
#endif
#ifndef TARN_ASAN
#define TARN_ASAN 0
#endif

#if TARN_ASAN

#include <sanitizer/asan_interface.h>

// The library's own look at what the program may not touch.
#define UNMARKED_ACCESS __attribute__((no_sanitize_address, noinline))

static inline void marks_open(void *p, size_t size) { (void)p, (void)size; }
static inline void marks_close(void *p, size_t size) { __asan_poison_memory_region(p, size); }
static inline void marks_make(void *p, size_t size, size_t zone)
{
    (void)zone;
    __asan_unpoison_memory_region(p, size);
}
static inline void marks_end(void *p, size_t size, size_t zone)
{
    (void)zone;
    __asan_poison_memory_region(p, size);
}

#else

#include <valgrind/memcheck.h>

#define UNMARKED_ACCESS

static inline void marks_open(void *p, size_t size) { VALGRIND_MAKE_MEM_DEFINED(p, size); }
// Nobody may touch the bytes from now on.
static inline void marks_close(void *p, size_t size) { VALGRIND_MAKE_MEM_NOACCESS(p, size); }
// A block of the program's, of undefined content; `zone` bytes before and behind it are closed.
static inline void marks_make(void *p, size_t size, size_t zone)
{
    VALGRIND_MALLOCLIKE_BLOCK(p, size, zone, false);
}
static inline void marks_end(void *p, size_t size, size_t zone)
{
    (void)size;
    VALGRIND_FREELIKE_BLOCK(p, zone);
}

#endif

#endif
