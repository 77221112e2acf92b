// SPDX-License-Identifier: MIT
// A block is freed with a size of another class than its own.
// expect: tarn: free of %p with size 10, but its block holds %2 bytes

#include "misuse.h"

int main(void)
{
    void *p = show(malloc(5000));
    show_usable_size(p);
    if (free_sized == NULL)
        return 77;
    free_sized(p, 10);
    return 0;
}
