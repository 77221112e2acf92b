// SPDX-License-Identifier: MIT
#include "kvserver/allocator.h"

#include <stddef.h>
#include <stdio.h>

// Weak, so that the same source links without tarn, and finds it when it is linked in or preloaded.
extern const char *tarn_version(void) __attribute__((weak));

const char *allocator_name(void)
{
    static _Thread_local char name[64];
    if (!tarn_version)
        return "system";
    snprintf(name, sizeof name, "tarn %s", tarn_version());
    return name;
}
