// SPDX-License-Identifier: MIT
// The second free happens in an exit handler.
// expect: tarn: double free of %p

#include "misuse.h"

static void *p;

static void free_again(void) { free(hide(p)); }

int main(void)
{
    p = show(malloc(64));
    atexit(free_again);
    free(p);
    return 0;
}
