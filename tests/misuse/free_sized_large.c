// SPDX-License-Identifier: MIT
// A large block is freed with a larger size than its own.
// expect: tarn: free of %p with size 99999999, but its block holds %2 bytes

#include "misuse.h"

int main(void)
{
    void *p = show(malloc((size_t)64 << 20));
    show_usable_size(p);
    if (free_sized == NULL)
        return 77;
    free_sized(p, 99999999);
    return 0;
}
