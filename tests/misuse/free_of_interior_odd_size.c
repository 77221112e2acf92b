// SPDX-License-Identifier: MIT
// A pointer to the middle of a block is freed whose size is no power of two.
// expect: tarn: free of %p, which lies inside the block at %2

#include "misuse.h"

int main(void)
{
    for (int i = 0; i < 20; i++)
        hide(malloc(1500));
    char *block = malloc(1500);
    void *p = show(block + 1024);
    show(block);
    free(p);
    return 0;
}
