// SPDX-License-Identifier: MIT
// What runs far over the end of a small block meets the next one's canary, or a guard behind the span.
// harden: 2
// expect: tarn: overrun of %p, in a slot of 1024 bytes
// signal 3: SIGSEGV

#include "misuse.h"

int main(void)
{
    char *p = show(malloc(1000));
    for (size_t i = 0; i < 1020; i++)
        p[i] = 7;
    free(p);
    _exit(0);
}
