// SPDX-License-Identifier: MIT
// What runs over the start of a large block meets a guard.
// harden: 1
// signal: SIGSEGV

#include "misuse.h"

int main(void)
{
    volatile char *p = hide(malloc((size_t)1 << 20));
    p[-1] = 1;
    return 0;
}
