// SPDX-License-Identifier: MIT
// valgrind: Invalid write of size 1.*is 0 bytes after a block of size 1,000,000 alloc'd
// asan: use-after-poison.*WRITE of size 1
#include "defect.h"

int main(void)
{
    volatile char *p = mem_realloc(mem_malloc(10), 1000000);
    p[1000000] = 1;
    mem_free((void *)p);
    return 0;
}
