// SPDX-License-Identifier: MIT
#include "kvload/mixture.h"

#include <math.h>
#include <string.h>

#include "common/slice.h"

// low-high:weight
static bool range_parse(struct mixture_range *self, struct slice text)
{
    uint64_t low, high, weight;
    struct slice first = slice_take_until(&text, '-'), second = slice_take_until(&text, ':');
    if (!slice_to_size(first, &low) || !slice_to_size(second, &high) || !slice_to_uint64(text, &weight))
        return false;
    if (low < MIXTURE_SMALLEST || high < low || high > MIXTURE_LARGEST || weight == 0)
        return false;
    *self = (struct mixture_range){(double)low, (double)high / (double)low, (double)weight};
    return true;
}

static void mixture_cumulate(struct mixture *self)
{
    double sum = 0;
    for (unsigned i = 0; i < self->count; i++)
        self->ranges[i].cumulated = sum += self->ranges[i].cumulated;
    for (unsigned i = 0; i < self->count; i++)
        self->ranges[i].cumulated /= sum;
}

bool mixture_parse(struct mixture *self, const char *text)
{
    struct slice rest = {text, strlen(text)};
    self->count = 0;
    while (rest.length > 0) {
        if (self->count == MIXTURE_RANGES ||
            !range_parse(&self->ranges[self->count], slice_take_until(&rest, ',')))
            return false;
        self->count++;
    }
    mixture_cumulate(self);
    return self->count > 0;
}

uint32_t mixture_draw(const struct mixture *self, struct random *random)
{
    double which = random_unit(random);
    unsigned i = 0;
    while (i + 1 < self->count && which >= self->ranges[i].cumulated)
        i++;
    const struct mixture_range *range = &self->ranges[i];
    return (uint32_t)(range->low * pow(range->ratio, random_unit(random)));
}
