// SPDX-License-Identifier: MIT
// A size that differs by one byte, in the same class, comes to free_sized.
// harden: 2
// expect: tarn: free of %p with size 101, but its block holds 100 bytes

#include "misuse.h"

int main(void)
{
    void *p = show(malloc(100));
    if (free_sized == NULL)
        return 77;
    free_sized(p, 101);
    _exit(0);
}
