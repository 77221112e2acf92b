// SPDX-License-Identifier: MIT
// A small block is freed twice, and the line says where it came from and went.
// harden: 2
// expect: tarn: double free of %p%allocated%freed

#include "sites.h"

int main(void)
{
    void *p = show(allocate(100));
    show_sites(program_start);
    release(p);
    free(hide(p));
    return 0;
}
