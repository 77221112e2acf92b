// SPDX-License-Identifier: MIT
// What it costs that a cache line moves between two processors: two threads on different ones take turns in
// writing to one line. The model of docs/scaling.md rests on this figure.
//
// prints nanoseconds for each move of the line

#define _GNU_SOURCE
#include "work.h"
#include <sched.h>
#include <stdatomic.h>

static _Alignas(128) atomic_ulong turn;

static void *take_turns(void *arg)
{
    struct worker *self = arg;
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(self->index, &own);
    sched_setaffinity(0, sizeof own, &own);
    size_t n = work_amount(5000000);
    for (size_t i = 0; i < n; i++) {
        while (atomic_load_explicit(&turn, memory_order_acquire) % 2 != self->index)
            continue;
        atomic_fetch_add_explicit(&turn, 1, memory_order_acq_rel);
    }
    self->count = n;
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv, NULL);
    double seconds = work_run(2, take_turns);
    work_result("transfer", seconds * 1e9 / (double)work_count(), "ns");
    return 0;
}
