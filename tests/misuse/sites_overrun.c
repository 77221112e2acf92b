// SPDX-License-Identifier: MIT
// A block is run over by one byte, into the canary itself, and the line says where it was allocated.
// harden: 2
// expect: tarn: overrun of %p, in a slot of 112 bytes%allocated

#include "sites.h"

int main(void)
{
    char *p = show(allocate(104));
    show_sites(program_start);
    p[104] = 0;
    free(p);
    return 0;
}
