// SPDX-License-Identifier: MIT
// A pointer into a small block comes to free; in a hardened heap that is found at the call.
// harden: 1
// expect: tarn: free of %p, which lies inside the block at %2

#include "misuse.h"

int main(void)
{
    char *p = malloc(100);
    show(p + 48);
    show(p);
    free(hide(p + 48));
    _exit(0);
}
