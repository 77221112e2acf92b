// SPDX-License-Identifier: MIT
// valgrind: All heap blocks were freed.*ERROR SUMMARY: 0 errors
// asan: went well
#include "defect.h"

#include <stdio.h>
#include <string.h>

static void use(size_t size)
{
    unsigned char *a = mem_malloc(size), *b = mem_calloc(1, size), *c = mem_aligned_alloc(4096, size);
    memset(a, 1, size);
    memset(c, 2, size);
    a = mem_realloc(a, 2 * size);
    for (size_t i = 0; i < size; i++)
        if (a[i] != 1 || b[i] != 0 || c[i] != 2)
            abort();
    mem_free(a);
    mem_free(b);
    mem_free(c);
}

int main(void)
{
    for (size_t size = 1; size < 300000; size += 1 + size / 3)
        use(size);
    fputs("went well\n", stderr);
    return 0;
}
