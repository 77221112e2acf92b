// SPDX-License-Identifier: MIT
// A block is read after it was freed.
// harden: 3
// signal: SIGSEGV

#include "misuse.h"

int main(void)
{
    volatile char *p = hide(malloc(100));
    p[0] = 1;
    free(hide((void *)p));
    _exit(p[0]);
}
