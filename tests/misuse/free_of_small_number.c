// SPDX-License-Identifier: MIT
// A small integer is freed.
// expect: tarn: free of %p, which tarn did not allocate

#include "misuse.h"

int main(void)
{
    free(show((void *)0x10));
    return 0;
}
