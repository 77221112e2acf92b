// SPDX-License-Identifier: MIT
// A block is freed twice with other calls between; in a heap with canaries that is found at the call.
// harden: 2
// expect: tarn: double free of %p

#include "misuse.h"

int main(void)
{
    void *p = show(malloc(100)), *other = malloc(100);
    free(p);
    free(other);
    free(hide(p));
    _exit(0);
}
