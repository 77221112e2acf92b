// SPDX-License-Identifier: MIT
// Memory is freed that the program mapped itself.
// expect: tarn: free of %p, which tarn did not allocate

#include "misuse.h"
#include <sys/mman.h>

int main(void)
{
    free(show(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
    return 0;
}
