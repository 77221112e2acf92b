// SPDX-License-Identifier: MIT
// A block of its own pages is freed twice.
// expect: tarn: double free of %p

#include "misuse.h"

int main(void)
{
    void *p = show(malloc((size_t)64 << 20));
    free(p);
    free(hide(p));
    return 0;
}
