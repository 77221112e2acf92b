// SPDX-License-Identifier: MIT
// tarn: a thread-caching concurrent memory allocator. The public interface, for C and C++.
// Every function may be called by any thread at any time, before main and after it too, but not from a signal
// handler.
#ifndef TARN_TARN_H
#define TARN_TARN_H

#include <stddef.h>
#include <tarn/version.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TARN_API __attribute__((visibility("default")))
#define TARN_NOTHROW __attribute__((nothrow))
#define TARN_MALLOC __attribute__((malloc, warn_unused_result))

// --- Allocation. Each function does what the C library's function of the same name without the prefix does;
// libtarn provides it under both names. Blocks from either may be given to either. On failure the result is
// NULL and errno is ENOMEM; success leaves errno as it was. Sizes above PTRDIFF_MAX fail. Every block starts
// at a multiple of 16 bytes.

// At least `size` bytes, not initialised; a unique pointer when size is 0. [ISO C17 7.22.3.4]
TARN_API void *tarn_malloc(size_t size) TARN_NOTHROW TARN_MALLOC __attribute__((alloc_size(1)));

// `count` objects of `size` bytes, all zero; ENOMEM also when the product overflows. [ISO C17 7.22.3.2]
TARN_API void *tarn_calloc(size_t count, size_t size) TARN_NOTHROW TARN_MALLOC
    __attribute__((alloc_size(1, 2)));

// Changes the size of block `p` to `size` bytes, moving it if need be; the common part of the content is
// kept. p == NULL allocates. size == 0 with p != NULL frees p and returns NULL, as glibc does. On failure p
// stays valid. [ISO C17 7.22.3.5]
TARN_API void *tarn_realloc(void *p, size_t size) TARN_NOTHROW
    __attribute__((warn_unused_result, alloc_size(2)));

// realloc to count * size bytes; ENOMEM when the product overflows. [POSIX.1-2024]
TARN_API void *tarn_reallocarray(void *p, size_t count, size_t size) TARN_NOTHROW
    __attribute__((warn_unused_result, alloc_size(2, 3)));

// Ends the life of block `p`; NULL is ignored. Keeps errno. [ISO C17 7.22.3.3, POSIX.1-2024]
// A pointer that is not a live block ends the process with one line on standard error; see docs/misuse.md for
// when.
TARN_API void tarn_free(void *p) TARN_NOTHROW;

// free for a caller that knows what it asked for: `size` bytes from malloc, calloc or realloc. [ISO
// C23 7.24.3.4]
TARN_API void tarn_free_sized(void *p, size_t size) TARN_NOTHROW;
// The same for a block of aligned_alloc(alignment, size). [ISO C23 7.24.3.5]
TARN_API void tarn_free_aligned_sized(void *p, size_t alignment, size_t size) TARN_NOTHROW;

// `size` bytes at a multiple of `alignment` bytes. EINVAL unless alignment is a power of two; any size will
// do. [ISO C17 7.22.3.1]
TARN_API void *tarn_aligned_alloc(size_t alignment, size_t size) TARN_NOTHROW TARN_MALLOC
    __attribute__((alloc_size(2), alloc_align(1)));
// The same; an alignment that is not a power of two is rounded up to one. [glibc]
TARN_API void *tarn_memalign(size_t alignment, size_t size) TARN_NOTHROW TARN_MALLOC
    __attribute__((alloc_size(2)));
// The same into *result. Returns 0, EINVAL (alignment is not a power of two multiple of sizeof(void *)) or
// ENOMEM; then *result keeps its value. Does not touch errno. [POSIX.1-2017]
TARN_API int tarn_posix_memalign(void **result, size_t alignment, size_t size) TARN_NOTHROW
    __attribute__((warn_unused_result, nonnull(1)));
// `size` bytes at a multiple of the kernel's page size. [glibc]
TARN_API void *tarn_valloc(size_t size) TARN_NOTHROW TARN_MALLOC __attribute__((alloc_size(1)));
// The same, with the size rounded up to whole kernel pages. [glibc]
TARN_API void *tarn_pvalloc(size_t size) TARN_NOTHROW TARN_MALLOC;

// How many bytes of block `p` may be used: at least what was asked for. 0 for NULL. [glibc
// malloc_usable_size]
TARN_API size_t tarn_usable_size(const void *p) TARN_NOTHROW;
// How many bytes a request for `size` bytes would really get; 0 when it would fail whatever the state of
// memory. Above 64 KiB it may get up to an eighth more, in a block that was freed a moment ago.
TARN_API size_t tarn_good_size(size_t size) TARN_NOTHROW;

// --- Tuning.

// The version of the library in use, as "major.minor.patch".
TARN_API const char *tarn_version(void) TARN_NOTHROW;

// Writes the value in force of option `name` ("TCACHE_TOTAL", with or without TARN_) as text into value[0 ..
// size). Returns 0, ENOENT (no such option) or ERANGE (size is too small).
TARN_API int tarn_option_get(const char *name, char *value, size_t size) TARN_NOTHROW;
// Changes an option that may change while the program runs (docs/options.md). Returns 0, ENOENT, EPERM (only
// the environment sets it), EINVAL (not a value) or ERANGE (out of its range).
TARN_API int tarn_option_set(const char *name, const char *value) TARN_NOTHROW;

// Gives back what can be given back now: the calling thread's cache, parked batches, empty spans, free pages.
// Returns the bytes that went to the kernel.
TARN_API size_t tarn_collect(void) TARN_NOTHROW;

// --- Limits on memory: TARN_LIMIT_SOFT and TARN_LIMIT_HARD (docs/limits.md).

enum tarn_limit { TARN_LIMIT_SOFT, TARN_LIMIT_HARD };

// `bytes` is what the heap held at that moment.
typedef void tarn_limit_callback(enum tarn_limit limit, size_t bytes, void *arg);

// Has `callback` called when the heap has grown above the soft limit, or has given back all it could and
// still has no room below the hard one; NULL ends that. Once for each crossing: again only after the heap had
// fallen a 16th below the limit. It is called in the thread whose request crossed the limit, at the end of
// malloc, free or their kin, so it may allocate and free; no second call begins before it returns. It must
// return (no longjmp, no exception), and must not wait for a lock that a caller of malloc or free may hold.
// After tarn_limit_set_callback has returned, the one before is not running any more, unless it is the
// caller; so the caller holds no lock that the callback takes.
TARN_API void tarn_limit_set_callback(tarn_limit_callback *callback, void *arg) TARN_NOTHROW;

// A descriptor, an eventfd, that becomes readable at the same moments; for poll and the like. It is made at
// the first call, one for each limit, is the library's to close, and does not survive exec. A child of fork
// shares it with its parent without writing to it; it gets one of its own here. On failure the result is -1
// and errno is EINVAL (no such limit), EMFILE, ENFILE or ENOMEM.
TARN_API int tarn_limit_event_fd(enum tarn_limit limit) TARN_NOTHROW;

// --- Defragmenting. Small blocks, up to 64 KiB, lie in spans of equal slots, and a span's memory can serve
// other sizes only when all of its slots are free. A program that can move its own blocks moves those in
// sparse spans, at any pace, one by one. Before it begins, tarn_collect() empties the calling thread's cache.

// How full the span of block `p` is: *span_live of its *span_capacity slots are in use (or in a thread's
// cache), and in all spans of that slot size as many as *class_average, on average; all in slots, rounded
// down. So the block is worth moving when *span_live <= *class_average and the span is not full. Returns 0,
// or EINVAL when p is no small block: NULL, large, not this library's; then nothing is written. Reads a few
// words, takes no lock: it may be called for every block. Any thread that owns p; the numbers are of a moment
// if others allocate.
TARN_API int tarn_utilization(const void *p, size_t *span_live, size_t *span_capacity,
                              size_t *class_average) TARN_NOTHROW __attribute__((nonnull(2, 3, 4)));

// Moves block `p` into another span that is as full or fuller, if one with room is at hand, and its own is no
// fuller than the average of its size and less than seven eighths full; neither block passes through a
// thread's cache, as those of malloc and free would. Returns where the block is now: p itself if it stayed,
// and then every pointer to it is good; else p was freed, and the content is at the new address with the same
// alignment. Never fails. NULL and large blocks stay, and all do under TARN_HARDEN. The caller owns p, and
// nobody else uses it meanwhile.
TARN_API void *tarn_relocate(void *p) TARN_NOTHROW __attribute__((warn_unused_result));

// --- Looking inside.

enum tarn_stats_format { TARN_STATS_TEXT, TARN_STATS_JSON };

// Hands a report to `write` piece by piece. `write` may be called many times and may allocate. Returns 0, or
// EINVAL for an unknown format. The numbers are read while other threads go on, so they fit together exactly
// only when no other thread allocates.
TARN_API int tarn_stats_print(enum tarn_stats_format format,
                              void (*write)(void *arg, const char *text, size_t n), void *arg);

// Checks the invariants of all layers. Returns 0 when they hold, -1 when not. For tests: the caller sees to
// it that no other thread allocates or frees meanwhile.
TARN_API int tarn_validate(void) TARN_NOTHROW;

#ifdef __cplusplus
}
#endif

#endif
