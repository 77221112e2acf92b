// SPDX-License-Identifier: MIT
// A pointer is freed that lies in the address space set aside for the heap, where the heap has not been yet.
// expect: tarn: free of %p, which tarn did not allocate

#include "misuse.h"

int main(void)
{
    char *block = malloc(100);
    free(show((char *)hide(block) + ((size_t)1 << 36)));
    return 0;
}
