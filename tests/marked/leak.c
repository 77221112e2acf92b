// SPDX-License-Identifier: MIT
// valgrind: 1,234 bytes in 1 blocks are definitely lost
#include "defect.h"

static void lose(void)
{
    volatile char *p = mem_malloc(1234);
    p[0] = 1;
}

int main(void)
{
    lose();
    mem_free(mem_malloc(1234));
    return 0;
}
