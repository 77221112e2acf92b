// SPDX-License-Identifier: MIT
// A pointer into a large block is resized.
// expect: tarn: realloc of %p, which lies inside the block at %2

#include "misuse.h"

int main(void)
{
    char *block = malloc((size_t)64 << 20);
    void *p = show(block + ((size_t)1 << 20));
    show(block);
    hide(realloc(p, (size_t)90 << 20));
    return 0;
}
