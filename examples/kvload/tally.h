// SPDX-License-Identifier: MIT
// What one load thread has counted.
// Only the thread adds; any thread may read at any time.
#ifndef KVLOAD_TALLY_H
#define KVLOAD_TALLY_H

#include <stdatomic.h>
#include <stdint.h>

enum tally_kind {
    TALLY_REQUESTS,
    TALLY_GETS,
    TALLY_HITS,
    TALLY_SETS,
    TALLY_DELETES,
    TALLY_BYTES_SENT,
    TALLY_BYTES_RECEIVED,
    TALLY_ERRORS,         // answers that are no answer to the request, and broken connections
    TALLY_PAYLOAD_ERRORS, // values with a wrong byte
    TALLY_KINDS
};

struct tally {
    _Atomic uint64_t count[TALLY_KINDS];
};

static inline uint64_t tally_get(const struct tally *self, enum tally_kind kind)
{
    // Relaxed: progress wants a recent number; the final one is read after the thread has been joined.
    return atomic_load_explicit(&self->count[kind], memory_order_relaxed);
}

static inline void tally_add(struct tally *self, enum tally_kind kind, uint64_t amount)
{
    // No read-modify-write: nobody else writes.
    atomic_store_explicit(&self->count[kind], tally_get(self, kind) + amount, memory_order_relaxed);
}

#endif
