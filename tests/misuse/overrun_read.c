// SPDX-License-Identifier: MIT
// A loop reads past the end of a block.
// harden: 3
// signal: SIGSEGV

#include "misuse.h"

int main(void)
{
    volatile char *p = hide(malloc(100));
    int sum = 0;
    for (int i = 0; i < 200; i++)
        sum += p[i];
    _exit(sum);
}
