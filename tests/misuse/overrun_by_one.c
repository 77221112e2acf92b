// SPDX-License-Identifier: MIT
// One byte behind a small block is written to.
// harden: 2
// expect: tarn: overrun of %p, in a slot of 112 bytes

#include "misuse.h"

int main(void)
{
    char *p = show(malloc(100));
    p[100] = 1;
    free(p);
    _exit(0);
}
