// SPDX-License-Identifier: MIT
// The byte before a small block is written to.
// harden: 3
// expect: tarn: underrun of %p

#include "misuse.h"

int main(void)
{
    char *p = show(malloc(100));
    p[-1] = 1;
    free(p);
    _exit(0);
}
