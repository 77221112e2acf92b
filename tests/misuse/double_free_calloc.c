// SPDX-License-Identifier: MIT
// A zeroed block is freed, then freed again with a size.
// expect: tarn: double free of %p

#include "misuse.h"

int main(void)
{
    void *p = show(calloc(10, 100));
    if (free_sized == NULL)
        return 77;
    free(p);
    free_sized(hide(p), 1000);
    return 0;
}
