// SPDX-License-Identifier: MIT
// A local variable is freed.
// expect: tarn: free of %p, which tarn did not allocate

#include "misuse.h"

int main(void)
{
    char local[64] = {0};
    free(show(local));
    return 0;
}
