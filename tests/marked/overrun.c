// SPDX-License-Identifier: MIT
// valgrind: Invalid write of size 1.*is 0 bytes after a block of size 33 alloc'd
// asan: use-after-poison.*WRITE of size 1
#include "defect.h"

int main(void)
{
    volatile char *p = mem_calloc(3, 11);
    p[33] = 1;
    mem_free((void *)p);
    return 0;
}
