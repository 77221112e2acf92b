// SPDX-License-Identifier: MIT
// A small block is freed twice in a process that may open no file: the line has the addresses alone.
// harden: 2
// expect: tarn: double free of %p%allocated%freed

#include "sites.h"
#include <sys/resource.h>

int main(void)
{
    void *p = show(allocate(100));
    show_sites(NULL);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, 0});
    release(p);
    free(hide(p));
    return 0;
}
