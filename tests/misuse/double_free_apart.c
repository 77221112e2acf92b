// SPDX-License-Identifier: MIT
// Other blocks of the same size are freed between the two frees.
// expect: tarn: double free of %p

#include "misuse.h"

int main(void)
{
    enum { COUNT = 10 };
    void *blocks[COUNT];
    for (int i = 0; i < COUNT; i++)
        blocks[i] = malloc(64);
    void *p = show(blocks[4]);
    for (int i = 0; i < COUNT; i++)
        free(blocks[i]);
    free(p);
    return 0;
}
