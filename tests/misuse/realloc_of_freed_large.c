// SPDX-License-Identifier: MIT
// A freed large block is resized.
// expect: tarn: double free of %p
// expect: tarn: realloc of %p, which tarn did not allocate

#include "misuse.h"

int main(void)
{
    void *p = show(malloc((size_t)64 << 20));
    free(p);
    hide(realloc(hide(p), (size_t)90 << 20));
    return 0;
}
