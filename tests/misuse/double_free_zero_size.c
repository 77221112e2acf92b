// SPDX-License-Identifier: MIT
// The block of malloc(0) is freed twice.
// expect: tarn: double free of %p

#include "misuse.h"

int main(void)
{
    void *p = show(malloc(0));
    free(p);
    free(hide(p));
    return 0;
}
