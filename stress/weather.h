// SPDX-License-Identifier: MIT
// The weather of a run, which changes only where all workers meet: fair, or such that there may be no memory.
// weather_set: while the workers stand still. weather_step: any worker.
#ifndef STRESS_WEATHER_H
#define STRESS_WEATHER_H

#include "rng.h"

enum weather {
    WEATHER_FAIR,
    WEATHER_LIMITS, // the bound on the heap moves about
    WEATHER_FAULTS, // the kernel refuses now and then
    WEATHERS
};

void weather_set(enum weather weather);
// Once for each step of a worker.
void weather_step(struct rng *rng);

#endif
