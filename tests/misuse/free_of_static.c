// SPDX-License-Identifier: MIT
// A static variable is freed.
// expect: tarn: free of %p, which tarn did not allocate

#include "misuse.h"

int main(void)
{
    static char variable[64];
    free(show(variable));
    return 0;
}
