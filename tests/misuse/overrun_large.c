// SPDX-License-Identifier: MIT
// What runs over the end of a large block, page after page, meets a guard.
// harden: 1
// signal: SIGSEGV

#include "misuse.h"

int main(void)
{
    size_t size = (size_t)5 << 16;
    volatile char *p = hide(malloc(size));
    p[size] = 1;
    return 0;
}
