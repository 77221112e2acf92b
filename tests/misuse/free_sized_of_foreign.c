// SPDX-License-Identifier: MIT
// A static variable is freed with its size.
// expect: tarn: free of %p, which tarn did not allocate

#include "misuse.h"

int main(void)
{
    static char variable[64];
    if (free_sized == NULL)
        return 77;
    free_sized(show(variable), sizeof variable);
    return 0;
}
