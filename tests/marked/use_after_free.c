// SPDX-License-Identifier: MIT
// valgrind: Invalid read of size 1.*is 10 bytes inside a block of size 100 free'd
// asan: use-after-poison.*READ of size 1
#include "defect.h"

int main(void)
{
    volatile char *p = mem_malloc(100);
    p[10] = 1;
    mem_free((void *)p);
    void *again = mem_malloc(100); // takes another place
    sink = p[10];
    mem_free(again);
    return 0;
}
