// SPDX-License-Identifier: MIT
// Limits for unit tests. While there is one thread.
#ifndef TESTS_UNIT_LIMITED_H
#define TESTS_UNIT_LIMITED_H

#include "core/limit.h"
#include "core/options.h"

static inline void set_hard_limit(size_t bytes)
{
    store_relaxed(&options.limit_hard, (int64_t)bytes);
    limit_refresh();
}

static inline void set_soft_limit(size_t bytes)
{
    store_relaxed(&options.limit_soft, (int64_t)bytes);
    limit_refresh();
}

#endif
