// SPDX-License-Identifier: MIT
// Small pseudo-random numbers: a counter and a mixing function.
// Each generator is owned by one thread.
#ifndef KVLOAD_RANDOM_H
#define KVLOAD_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state;
};

static inline uint64_t random_mix(uint64_t x)
{
    x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
    x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return x ^ x >> 32;
}

static inline uint64_t random_next(struct random *self)
{
    self->state += UINT64_C(0x9e3779b97f4a7c15);
    return random_mix(self->state);
}

// From 0 up to, not including, 1.
static inline double random_unit(struct random *self) { return (double)(random_next(self) >> 11) * 0x1p-53; }

#endif
