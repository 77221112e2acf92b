// SPDX-License-Identifier: MIT
#include "core/random.h"

#include "core/bits.h"
#include "core/os.h"

static _Thread_local uint64_t state; // 0: not seeded

// A shift register of full period, its output scattered by a multiplication (Vigna's xorshift64*).
uint64_t random_bits(void)
{
    uint64_t x = state;
    if (unlikely(x == 0)) {
        os_random(&x, sizeof x);
        x |= 1;
    }
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    state = x;
    return x * UINT64_C(0x2545f4914f6cdd1d);
}

size_t random_below(size_t n) { return (size_t)((random_bits() >> 32) * n >> 32); }

void random_shuffle(void **objects, size_t n)
{
    for (size_t left = n; left > 1; left--) {
        size_t other = random_below(left);
        void *last = objects[left - 1];
        objects[left - 1] = objects[other];
        objects[other] = last;
    }
}

void random_after_fork(void) { state = 0; }
