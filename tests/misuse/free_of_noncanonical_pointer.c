// SPDX-License-Identifier: MIT
// A pointer is freed that no address space can hold.
// expect: tarn: free of %p, which tarn did not allocate

#include "misuse.h"

int main(void)
{
    free(show((void *)0xdeadbeefdeadbee0));
    return 0;
}
