// SPDX-License-Identifier: MIT
// A freed block is written to, and the line says where it came from and went.
// harden: 2
// expect: tarn: use after free of %p: written to, in a slot of 80 bytes%allocated%freed
// signal 3: SIGSEGV

#include "sites.h"

int main(void)
{
    char *p = show(allocate(70));
    show_sites(program_start);
    release(p);
    p[30] = 1;
    for (int i = 0; i < 1000000; i++)
        free(hide(malloc(70)));
    _exit(0);
}
