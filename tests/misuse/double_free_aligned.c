// SPDX-License-Identifier: MIT
// An aligned block is freed twice.
// expect: tarn: double free of %p

#include "misuse.h"

int main(void)
{
    void *p = show(aligned_alloc(4096, 4096));
    free(p);
    free(hide(p));
    return 0;
}
