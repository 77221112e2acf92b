// SPDX-License-Identifier: MIT
// A pointer into the upper half of the address space is freed.
// expect: tarn: free of %p, which tarn did not allocate

#include "misuse.h"

int main(void)
{
    free(show((void *)0xfffffffffffffff0));
    return 0;
}
