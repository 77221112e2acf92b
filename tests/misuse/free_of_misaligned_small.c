// SPDX-License-Identifier: MIT
// A pointer one byte into a small block is freed.
// expect: tarn: free of %p, which lies inside the block at %2

#include "misuse.h"

int main(void)
{
    char *block = malloc(64);
    void *p = show(block + 1);
    show(block);
    free(p);
    return 0;
}
