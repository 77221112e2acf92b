// SPDX-License-Identifier: MIT
// A small block is freed twice in a row.
// expect: tarn: double free of %p

#include "misuse.h"

int main(void)
{
    void *p = show(malloc(64));
    free(p);
    free(hide(p));
    return 0;
}
