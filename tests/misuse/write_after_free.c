// SPDX-License-Identifier: MIT
// A block is written to after it was freed, and many calls later its slot is handed out again.
// harden: 2
// expect: tarn: use after free of %p: written to, in a slot of 80 bytes
// signal 3: SIGSEGV

#include "misuse.h"

int main(void)
{
    char *p = show(malloc(70));
    free(p);
    p[30] = 1;
    for (int i = 0; i < 1000000; i++)
        free(hide(malloc(70)));
    _exit(0);
}
