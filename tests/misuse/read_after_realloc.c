// SPDX-License-Identifier: MIT
// A block is read where it was before realloc.
// harden: 3
// signal: SIGSEGV

#include "misuse.h"

int main(void)
{
    volatile char *p = hide(malloc(100));
    p[0] = 1;
    free(realloc(hide((void *)p), 101));
    _exit(p[0]);
}
