// SPDX-License-Identifier: MIT
// A rand_r that makes Criterion start under ThreadSanitizer.
// Called by Criterion's process isolation before the first test, from one thread.

#include <stdlib.h>

// Criterion maps an arena at 0x200000000000 + rand_r() * 16 MiB.  ThreadSanitizer lets programs use only some
// address ranges; these results keep the arena between 0x550000000000 and 0x568000000000, which both
// compilers' runtimes allow.
int rand_r(unsigned int *seed)
{
    *seed = *seed * 1103515245U + 12345U;
    return (int)(0x350000U + (*seed >> 8) % 0x18000U);
}
