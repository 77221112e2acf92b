// SPDX-License-Identifier: MIT
// What ThreadSanitizer has to be told about synchronisation inside libraries that are not instrumented.
// Used in the wrappers of liburcu and ck only; the library's own words are C11 atomics, which it sees.
#ifndef TARN_CORE_TSAN_H
#define TARN_CORE_TSAN_H

#if defined(__SANITIZE_THREAD__)
#define TARN_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TARN_TSAN 1
#endif
#endif
#ifndef TARN_TSAN
#define TARN_TSAN 0
#endif

#if TARN_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
static inline void tsan_acquire(void *address) { __tsan_acquire(address); }
static inline void tsan_release(void *address) { __tsan_release(address); }
#else
static inline void tsan_acquire(void *address) { (void)address; }
static inline void tsan_release(void *address) { (void)address; }
#endif

#endif
