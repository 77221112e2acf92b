// SPDX-License-Identifier: MIT
// A pointer before a small block, on its page, comes to free.
// harden: 3
// expect: tarn: free of %p, which tarn did not allocate

#include "misuse.h"

int main(void)
{
    char *p = malloc(100);
    free(show(p - 16));
    _exit(0);
}
