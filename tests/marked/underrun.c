// SPDX-License-Identifier: MIT
// valgrind: Invalid read of size 1.*is 1 bytes before a block of size 64 alloc'd
// asan: use-after-poison.*READ of size 1
#include "defect.h"

int main(void)
{
    volatile char *p = mem_aligned_alloc(256, 64);
    sink = p[-1];
    mem_free((void *)p);
    return 0;
}
