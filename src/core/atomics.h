// SPDX-License-Identifier: MIT
// Atomic operations with the memory order in their names: a grep for a name is the census of that order.
// Any thread; every function is a single C11 atomic access, visible to ThreadSanitizer.
#ifndef TARN_CORE_ATOMICS_H
#define TARN_CORE_ATOMICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// The schedule explorer (tests/explore) decides before each access which thread goes on.
#ifdef TARN_EXPLORE
void explore_step(const char *file, int line);
#define ACCESS(access) (explore_step(__FILE__, __LINE__), (access))
#else
#define ACCESS(access) (access)
#endif

// A plain read of a word that only the calling thread writes: nothing can be torn, and the compiler may fold
// it.
#define load_own(p) (*(__typeof__(atomic_load_explicit((p), memory_order_relaxed)) *)(void *)(p))

typedef _Atomic(uint8_t) atomic_u8;
typedef _Atomic(uint32_t) atomic_u32;
typedef _Atomic(uint64_t) atomic_u64;
typedef _Atomic(int64_t) atomic_i64;
typedef _Atomic(uintptr_t) atomic_uptr;

#define load_relaxed(p) ACCESS(atomic_load_explicit((p), memory_order_relaxed))
#define load_acquire(p) ACCESS(atomic_load_explicit((p), memory_order_acquire))
#define store_relaxed(p, v) ACCESS(atomic_store_explicit((p), (v), memory_order_relaxed))
#define store_release(p, v) ACCESS(atomic_store_explicit((p), (v), memory_order_release))
#define exchange_relaxed(p, v) ACCESS(atomic_exchange_explicit((p), (v), memory_order_relaxed))
#define exchange_acquire(p, v) ACCESS(atomic_exchange_explicit((p), (v), memory_order_acquire))
#define exchange_release(p, v) ACCESS(atomic_exchange_explicit((p), (v), memory_order_release))
#define exchange_acq_rel(p, v) ACCESS(atomic_exchange_explicit((p), (v), memory_order_acq_rel))
#define fetch_add_relaxed(p, v) ACCESS(atomic_fetch_add_explicit((p), (v), memory_order_relaxed))
#define fetch_sub_relaxed(p, v) ACCESS(atomic_fetch_sub_explicit((p), (v), memory_order_relaxed))
#define fetch_or_relaxed(p, v) ACCESS(atomic_fetch_or_explicit((p), (v), memory_order_relaxed))
#define fetch_or_release(p, v) ACCESS(atomic_fetch_or_explicit((p), (v), memory_order_release))
#define fetch_and_relaxed(p, v) ACCESS(atomic_fetch_and_explicit((p), (v), memory_order_relaxed))
#define fetch_and_acquire(p, v) ACCESS(atomic_fetch_and_explicit((p), (v), memory_order_acquire))

// The failure order is relaxed or acquire: whoever fails looks again before it follows what it read.
#define cas_acquire(p, expected, v)                                                                          \
    ACCESS(atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_acquire,               \
                                                   memory_order_relaxed))
#define cas_release(p, expected, v)                                                                          \
    ACCESS(atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_release,               \
                                                   memory_order_relaxed))
#define cas_relaxed(p, expected, v)                                                                          \
    ACCESS(atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_relaxed,               \
                                                   memory_order_relaxed))
#define cas_weak_acq_rel(p, expected, v)                                                                     \
    ACCESS(atomic_compare_exchange_weak_explicit((p), (expected), (v), memory_order_acq_rel,                 \
                                                 memory_order_acquire))
#define cas_weak_relaxed(p, expected, v)                                                                     \
    ACCESS(atomic_compare_exchange_weak_explicit((p), (expected), (v), memory_order_relaxed,                 \
                                                 memory_order_relaxed))

// Keeps the compiler from moving accesses across; for what a signal handler or the child of a fork sees of
// one thread.
static inline void compiler_fence(void) { atomic_signal_fence(memory_order_seq_cst); }

// A full fence after an exchange. On x86 the exchange is one already.
static inline void fence_after_exchange(void)
{
#if !defined(__x86_64__)
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

#endif
