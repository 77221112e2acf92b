// SPDX-License-Identifier: MIT
// valgrind: Invalid free.*is 0 bytes inside a block of size 77 free'd.*tarn: double free of 0x
// asan: tarn: double free of 0x
#include "defect.h"

int main(void)
{
    void *volatile p = mem_malloc(77);
    mem_free(p);
    mem_free(p);
    return 0;
}
