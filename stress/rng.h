// SPDX-License-Identifier: MIT
// Random numbers that depend on a seed alone.
// A state belongs to one thread.
#ifndef STRESS_RNG_H
#define STRESS_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state;
};

// The splitmix64 generator: every state is good, neighbouring seeds too.
static inline uint64_t rng_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline uint64_t rng_next(struct rng *self)
{
    return rng_mix(self->state += UINT64_C(0x9e3779b97f4a7c15));
}

// 0 .. n - 1
static inline uint64_t rng_below(struct rng *self, uint64_t n) { return rng_next(self) % n; }

static inline int rng_one_in(struct rng *self, uint64_t n) { return rng_below(self, n) == 0; }

#endif
