// SPDX-License-Identifier: MIT
// Memory is resized that the program mapped itself.
// expect: tarn: realloc of %p, which tarn did not allocate

#include "misuse.h"
#include <sys/mman.h>

int main(void)
{
    void *p = show(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    hide(realloc(p, 100));
    return 0;
}
