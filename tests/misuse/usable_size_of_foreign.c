// SPDX-License-Identifier: MIT
// The usable size of a static variable is asked for.
// expect: tarn: malloc_usable_size of %p, which tarn did not allocate

#include "misuse.h"

int main(void)
{
    static char variable[64];
    return malloc_usable_size(show(variable)) == 0;
}
