// SPDX-License-Identifier: MIT
// Random numbers for tests that a printed seed repeats: TEST_SEED=<seed> in the environment sets it.
// One state for each thread.
#ifndef TESTS_UNIT_SEEDED_H
#define TESTS_UNIT_SEEDED_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t seeded_start(const char *test)
{
    const char *given = getenv("TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10)
                                  : ((uint64_t)time(NULL) << 20 ^ (uint64_t)getpid()) % 1000000007;
    fprintf(stderr, "%s: TEST_SEED=%llu\n", test, (unsigned long long)seed);
    return seed;
}

// A number in [0, below).
static inline size_t seeded_next(uint64_t *state, size_t below)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (size_t)((z ^ (z >> 31)) % below);
}

#endif
