// SPDX-License-Identifier: MIT
// Whether mincore can be called: not under every emulator. Any thread.
#ifndef TESTS_SUPPORT_MINCORE_H
#define TESTS_SUPPORT_MINCORE_H

#include <criterion/criterion.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// One byte for each page, and no more. qemu hands the call to the machine's own kernel, which writes a byte
// for each of its own, smaller pages, past the end of what the program gave.
static inline bool mincore_keeps_within_bounds(void)
{
    unsigned char states[256]; // as many as a page of 1 MiB has of 4 KiB
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(page, MAP_FAILED);
    memset(states, 255, sizeof states);
    cr_assert_eq(mincore(page, size, states), 0);
    munmap(page, size);
    return states[1] == 255;
}

#endif
