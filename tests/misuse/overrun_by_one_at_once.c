// SPDX-License-Identifier: MIT
// One byte behind a block whose size is a multiple of sixteen is written to.
// harden: 3
// signal: SIGSEGV

#include "misuse.h"

int main(void)
{
    volatile char *p = hide(malloc(112));
    p[112] = 1;
    _exit(0);
}
