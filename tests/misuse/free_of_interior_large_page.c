// SPDX-License-Identifier: MIT
// A pointer megabytes into a large block is freed.
// expect: tarn: free of %p, which lies inside the block at %2

#include "misuse.h"

int main(void)
{
    char *block = malloc((size_t)64 << 20);
    void *p = show(block + ((size_t)40 << 20));
    show(block);
    free(p);
    return 0;
}
