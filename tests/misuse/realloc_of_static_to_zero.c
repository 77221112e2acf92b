// SPDX-License-Identifier: MIT
// A static variable is freed by realloc to zero bytes.
// expect: tarn: realloc of %p, which tarn did not allocate
// expect: tarn: free of %p, which tarn did not allocate

#include "misuse.h"

int main(void)
{
    static char variable[64];
    hide(realloc(show(variable), 0));
    return 0;
}
