// SPDX-License-Identifier: MIT
// A small block is freed with a larger size than its own.
// expect: tarn: free of %p with size 5000, but its block holds %2 bytes

#include "misuse.h"

int main(void)
{
    void *p = show(malloc(64));
    show_usable_size(p);
    if (free_sized == NULL)
        return 77;
    free_sized(p, 5000);
    return 0;
}
