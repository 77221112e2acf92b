// SPDX-License-Identifier: MIT
// valgrind: Conditional jump or move depends on uninitialised value
#include "defect.h"

int main(void)
{
    char *p = mem_malloc(100);
    for (int i = 0; i < 100; i++)
        p[i] = 1;
    mem_free(p);
    volatile char *q = mem_malloc(100); // of undefined content again
    if (q[5] == 17)
        sink = mem_malloc(1) != NULL;
    mem_free((void *)q);
    return 0;
}
