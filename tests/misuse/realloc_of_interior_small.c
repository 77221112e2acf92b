// SPDX-License-Identifier: MIT
// A pointer into a small block is resized, so that the contents move.
// expect: tarn: realloc of %p, which lies inside the block at %2
// expect: tarn: free of %p, which lies inside the block at %2

#include "misuse.h"

int main(void)
{
    char *block = malloc(64);
    void *p = show(block + 32);
    show(block);
    hide(realloc(p, 5000));
    return 0;
}
