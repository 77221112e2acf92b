// SPDX-License-Identifier: MIT
// An aligned block is freed with a larger size than its own.
// expect: tarn: free of %p with size 70000, but its block holds %2 bytes

#include "misuse.h"

int main(void)
{
    void *p = show(aligned_alloc(256, 512));
    show_usable_size(p);
    if (free_aligned_sized == NULL)
        return 77;
    free_aligned_sized(p, 256, 70000);
    return 0;
}
