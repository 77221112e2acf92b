// SPDX-License-Identifier: MIT
// A block larger than thread caches keep is freed twice.
// expect: tarn: double free of %p

#include "misuse.h"

int main(void)
{
    void *p = show(malloc(100000));
    void *neighbour = malloc(100000);
    free(p);
    free(hide(p));
    free(neighbour);
    return 0;
}
