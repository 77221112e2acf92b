// SPDX-License-Identifier: MIT
// A large block is freed twice, and the line says where it came from and went.
// harden: 2
// expect: tarn: double free of %p%allocated%freed

#include "sites.h"

int main(void)
{
    void *p = show(allocate(1000000));
    show_sites(program_start);
    release(p);
    free(hide(p));
    return 0;
}
