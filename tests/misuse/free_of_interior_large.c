// SPDX-License-Identifier: MIT
// A pointer 16 bytes into a large block is freed.
// expect: tarn: free of %p, which lies inside the block at %2

#include "misuse.h"

int main(void)
{
    char *block = malloc((size_t)64 << 20);
    void *p = show(block + 16);
    show(block);
    free(p);
    return 0;
}
