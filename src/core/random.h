// SPDX-License-Identifier: MIT
// Random numbers that place things: seeded by the kernel, quick, and not for secrets that must last.
// Any thread; each has a state of its own.
#ifndef TARN_CORE_RANDOM_H
#define TARN_CORE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

// One step of a generator whose state is the caller's: its highest bits are the ones to use.
static inline uint64_t random_step(uint64_t *state)
{
    return *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407); // Knuth's MMIX
}

uint64_t random_bits(void);
// A number in [0, n); n < 2^32.
size_t random_below(size_t n);
// Puts the objects into any order, each as likely as another.
void random_shuffle(void **objects, size_t n);
// The child of a fork draws other numbers than its parent.
void random_after_fork(void);

#endif
