// SPDX-License-Identifier: MIT
// The kernel's mappings of this process.
#ifndef TESTS_SUPPORT_MAPPINGS_H
#define TESTS_SUPPORT_MAPPINGS_H

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

// How many of them lie in a range, at least in part.
static inline size_t mappings_of(const void *start, size_t size)
{
    size_t count = 0;
    uintptr_t from, to, first = (uintptr_t)start, end = first + size;
    FILE *maps = fopen("/proc/self/maps", "r");
    cr_assert_not_null(maps);
    for (char line[512]; fgets(line, sizeof line, maps) != NULL;)
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &from, &to) == 2)
            count += from < end && to > first;
    fclose(maps);
    return count;
}

#endif
