// SPDX-License-Identifier: MIT
// A server for hours: random blocks of a fixed number of live bytes are replaced, again and again, by ones
// whose sizes lie about a median that wanders from 64 to 512 bytes and back. Does what is resident keep
// growing?
//
// options: --alive BYTES (100 MiB), of all threads; --settle MS (1000)
// prints also the slope: how much resident over live bytes rises during the whole churn, by its second half.

#include "memory.h"

enum { OPERATIONS = 50000000, LEAST = 16, MOST = 1 << 20, WAVES = 4, MEDIAN_LEAST = 64 };

static uint64_t alive_bytes = 100 * MIB;
static struct set sets[WORK_THREADS_MAX];

// How many doublings the median lies above the least one at this part of the run: up to three, and back.
static double wander(double part)
{
    double at = part * WAVES - (double)(int)(part * WAVES);
    return at < 0.5 ? 6 * at : 6 * (1 - at);
}

// The sum of four random numbers is close to normal, so the size is close to log-normal; a standard deviation
// is about one and a half doublings. Between two powers of two the exponential is taken as a straight line.
static size_t draw_size(uint64_t *random, double doublings)
{
    double sum = 0;
    for (int i = 0; i < 4; i++)
        sum += (double)(random_next(random) >> 32) / 4294967296.0;
    double exponent = doublings + (sum - 2) * 2.6 + 16;
    double size = (1 + exponent - (int)exponent) * (double)(1 << (int)exponent) * MEDIAN_LEAST / 65536;
    return size < LEAST ? LEAST : size > MOST ? MOST : (size_t)size;
}

static void *churn(void *arg)
{
    struct worker *self = arg;
    struct set *own = &sets[self->index];
    size_t n = work_share(OPERATIONS), share = alive_bytes / work_threads;
    memory_meet("fill");
    while (own->bytes < share)
        set_add(own, draw_size(&self->random, 0));
    memory_meet("churn");
    for (; self->count < n; self->count++) {
        set_add(own, draw_size(&self->random, wander((double)self->count / (double)n)));
        set_shrink(own, 0, share, &self->random);
    }
    memory_settle();
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv,
               (struct work_option[]){{"alive", &alive_bytes}, {"settle", &memory_settle_ms}, {0}});
    for (unsigned i = 0; i < work_threads; i++)
        sets[i] = set_make(alive_bytes / work_threads / MEDIAN_LEAST);
    memory_begin();
    work_run(work_threads, churn);
    memory_end();
    work_result("slope", memory_slope("churn"), "ratio");
    return 0;
}
