// SPDX-License-Identifier: MIT
// So many blocks are freed between the two frees that the first has left the thread's cache.
// expect: tarn: double free of %p

#include "misuse.h"

int main(void)
{
    enum { COUNT = 100000 };
    static void *blocks[COUNT];
    for (int i = 0; i < COUNT; i++)
        blocks[i] = malloc(64);
    void *p = show(blocks[50]);
    for (int i = 0; i < COUNT; i++)
        free(blocks[i]);
    free(p);
    return 0;
}
