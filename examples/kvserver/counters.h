// SPDX-License-Identifier: MIT
// What one worker has counted, under the names memcached gives its statistics.
// Only the worker adds; any thread may read at any time.
#ifndef KVSERVER_COUNTERS_H
#define KVSERVER_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#define COUNTERS(X)                                                                                          \
    X(cmd_get)                                                                                               \
    X(cmd_set)                                                                                               \
    X(cmd_flush)                                                                                             \
    X(cmd_touch)                                                                                             \
    X(get_hits)                                                                                              \
    X(get_misses)                                                                                            \
    X(delete_hits)                                                                                           \
    X(delete_misses)                                                                                         \
    X(incr_hits)                                                                                             \
    X(incr_misses)                                                                                           \
    X(decr_hits)                                                                                             \
    X(decr_misses)                                                                                           \
    X(touch_hits)                                                                                            \
    X(touch_misses)                                                                                          \
    X(bytes_read)                                                                                            \
    X(bytes_written)

#define COUNTER_ENUM(name) COUNT_##name,
enum counter { COUNTERS(COUNTER_ENUM) COUNTER_COUNT };
#undef COUNTER_ENUM

struct counters {
    _Atomic uint64_t value[COUNTER_COUNT];
};

static inline uint64_t counters_get(const struct counters *self, enum counter which)
{
    // Relaxed: a reader wants a recent number, and orders nothing by it.
    return atomic_load_explicit(&self->value[which], memory_order_relaxed);
}

static inline void counters_add(struct counters *self, enum counter which, uint64_t amount)
{
    // No read-modify-write: nobody else writes.
    atomic_store_explicit(&self->value[which], counters_get(self, which) + amount, memory_order_relaxed);
}

#endif
