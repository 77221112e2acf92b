// SPDX-License-Identifier: MIT
// A block is freed with a wrong size, and the line says where it was allocated.
// harden: 2
// expect: tarn: free of %p with size 101, but its block holds 100 bytes%allocated

#include "sites.h"

int main(void)
{
    void *p = show(allocate(100));
    show_sites(program_start);
    if (free_sized == NULL)
        return 77;
    free_sized(p, 101);
    return 0;
}
