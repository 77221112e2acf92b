// SPDX-License-Identifier: MIT
// Memory is freed that the program took with sbrk.
// expect: tarn: free of %p, which tarn did not allocate

#include "misuse.h"

int main(void)
{
    free(show(sbrk(4096)));
    return 0;
}
