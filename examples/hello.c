// SPDX-License-Identifier: MIT
// The smallest program that uses tarn by its own names, beside the system's malloc.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/tarn.h>

int main(void)
{
    static const char TEXT[] = "hello from tarn";
    char *copy = tarn_malloc(sizeof TEXT);
    if (!copy)
        return EXIT_FAILURE;
    memcpy(copy, TEXT, sizeof TEXT);
    printf("%s %s: %zu bytes in a block of %zu\n", copy, tarn_version(), sizeof TEXT, tarn_usable_size(copy));
    tarn_free(copy);
    return EXIT_SUCCESS;
}
