// SPDX-License-Identifier: MIT
// A string is one byte longer than its block, which fills its slot.
// harden: 2
// expect: tarn: overrun of %p, in a slot of 112 bytes

#include "misuse.h"

int main(void)
{
    char *p = show(malloc(104));
    p[104] = 0;
    p = realloc(p, 300);
    _exit(0);
}
