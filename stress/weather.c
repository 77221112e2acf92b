// SPDX-License-Identifier: MIT
#include "weather.h"

#include "block.h"
#include "core/os.h"
#include <stdio.h>
#include <tarn/tarn.h>

#define STEPS_PER_LIMIT 500
#define STEPS_PER_FAULT                                                                                      \
    50 // a request is refused only when what it gives up before a second try does not help

static enum weather now; // written only where the workers meet

static void set_limit(uint64_t bytes)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)bytes);
    if (tarn_option_set("LIMIT_HARD", text) != 0)
        fault("option LIMIT_HARD cannot be set to %s", text);
}

void weather_set(enum weather weather)
{
    now = weather;
    block_allow_failure(weather != WEATHER_FAIR);
    os_fail_nth(0);
    set_limit(0);
}

// From what a worker alone may hold to more than what all of them do.
static uint64_t random_limit(struct rng *rng)
{
    uint64_t octave = UINT64_C(1) << (24 + rng_below(rng, 7));
    return rng_one_in(rng, 8) ? 0 : octave + rng_below(rng, octave);
}

void weather_step(struct rng *rng)
{
    if (now == WEATHER_LIMITS && rng_one_in(rng, STEPS_PER_LIMIT))
        set_limit(random_limit(rng));
    if (now == WEATHER_FAULTS && rng_one_in(rng, STEPS_PER_FAULT))
        os_fail_run(1 + (uint32_t)rng_below(rng, 3), UINT32_C(1) << rng_below(rng, 14));
}
