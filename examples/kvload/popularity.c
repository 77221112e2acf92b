// SPDX-License-Identifier: MIT
// The sum of Zipf's law has no inverse in closed form; the area under its curve has, and is close enough for
// a load.
#include "kvload/popularity.h"

#include <math.h>

enum { FIRST_RANK = 1 };

static int is_harmonic(double skew) { return fabs(skew - 1) < 1e-6; }

static double area_up_to(double skew, double x)
{
    return is_harmonic(skew) ? log(x) : (pow(x, 1 - skew) - 1) / (1 - skew);
}

static double rank_at(double skew, double area)
{
    return is_harmonic(skew) ? exp(area) : pow(1 + area * (1 - skew), 1 / (1 - skew));
}

struct popularity popularity_make(uint32_t keys, double skew)
{
    return (struct popularity){skew, area_up_to(skew, (double)keys + FIRST_RANK), keys};
}

uint32_t popularity_draw(const struct popularity *self, struct random *random)
{
    double rank = rank_at(self->skew, random_unit(random) * self->area);
    uint32_t key = (uint32_t)rank - FIRST_RANK;
    return key < self->keys ? key : self->keys - 1;
}
