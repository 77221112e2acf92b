// SPDX-License-Identifier: MIT
// What sizes values have: ranges with weights, log-uniform within a range. Written as
// 16-128:60,128-2k:30,2k-32k:10 Constant once parsed; any thread may draw from it with its own generator.
#ifndef KVLOAD_MIXTURE_H
#define KVLOAD_MIXTURE_H

#include <stdbool.h>

#include "kvload/random.h"

enum { MIXTURE_RANGES = 16, MIXTURE_SMALLEST = 8, MIXTURE_LARGEST = 1024 * 1024 };

struct mixture {
    unsigned count;
    struct mixture_range {
        double low, ratio; // sizes go from low to low * ratio
        double cumulated;  // share of this range and all before it
    } ranges[MIXTURE_RANGES];
};

// False when the text cannot be understood or a size is out of bounds.
bool mixture_parse(struct mixture *self, const char *text);

uint32_t mixture_draw(const struct mixture *self, struct random *random);

#endif
