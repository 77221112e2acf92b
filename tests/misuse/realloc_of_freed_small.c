// SPDX-License-Identifier: MIT
// A freed small block is resized, so that its contents move.
// expect: tarn: double free of %p
// expect: tarn: realloc of %p, which tarn did not allocate

#include "misuse.h"

int main(void)
{
    void *p = show(malloc(64));
    free(p);
    hide(realloc(hide(p), 5000));
    return 0;
}
