// SPDX-License-Identifier: MIT
// The byte behind a block of 1001 bytes is written to, and the block asked for its size.
// harden: 3
// expect: tarn: overrun of %p, in a slot of 1008 bytes

#include "misuse.h"

int main(void)
{
    char *p = show(malloc(1001));
    p[1001] = 0;
    show_usable_size(p);
    _exit(0);
}
