// SPDX-License-Identifier: MIT
// The byte before a block of whole pages is read.
// harden: 3
// signal: SIGSEGV

#include "misuse.h"

int main(void)
{
    volatile char *p = hide(malloc((size_t)sysconf(_SC_PAGESIZE)));
    _exit(p[-1]);
}
