// SPDX-License-Identifier: MIT
// A block is read after it and many others were freed.
// harden: 3
// signal: SIGSEGV

#include "misuse.h"

int main(void)
{
    volatile char *p = hide(malloc(100));
    free(hide((void *)p));
    for (int i = 0; i < 1000; i++)
        free(hide(malloc(100)));
    _exit(p[50]);
}
