// SPDX-License-Identifier: MIT
// Which key comes next: the r-th most popular of n keys is drawn about in proportion to 1 / r^skew (Zipf's
// law). Constant once made; any thread may draw from it with its own generator.
#ifndef KVLOAD_POPULARITY_H
#define KVLOAD_POPULARITY_H

#include "kvload/random.h"

struct popularity {
    double skew;
    double area; // under the curve 1 / x^skew from 1 to n + 1
    uint32_t keys;
};

// `skew` 0 makes all keys equally popular.
struct popularity popularity_make(uint32_t keys, double skew);

// A key from 0 to keys - 1; 0 is the most popular.
uint32_t popularity_draw(const struct popularity *self, struct random *random);

#endif
