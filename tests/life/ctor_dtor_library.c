// SPDX-License-Identifier: MIT
// A shared library that allocates in its constructors and frees in its destructors, before and after
// everybody else.

#include "ctor_dtor.h"

#include "../support/fill.h"

#include <stdlib.h>
#include <unistd.h>

enum { COUNT = 200 };

static unsigned char *blocks[COUNT];
static int teller = -1;

static size_t size_of(size_t i) { return 10 + i * i * 10; }

// Not the constructor of this library but of the first to be loaded decides when malloc is first called.
__attribute__((constructor(101))) static void allocate_early(void)
{
    for (size_t i = 0; i < COUNT / 2; i++)
        fill(blocks[i] = malloc(size_of(i)), size_of(i), (unsigned)i);
}

__attribute__((constructor)) static void allocate(void)
{
    for (size_t i = COUNT / 2; i < COUNT; i++)
        fill(blocks[i] = malloc(size_of(i)), size_of(i), (unsigned)i);
}

void library_tell_to(int file) { teller = file; }

int library_blocks_stand(void)
{
    for (size_t i = 0; i < COUNT; i++)
        if (blocks[i] != NULL && !fill_stands(blocks[i], size_of(i), (unsigned)i))
            return 0;
    return 1;
}

static void tell(char good, char bad)
{
    char letter = library_blocks_stand() ? good : bad;
    if (teller >= 0 && write(teller, &letter, 1) != 1)
        _exit(1);
}

__attribute__((destructor)) static void free_half(void)
{
    tell('l', 'X');
    for (size_t i = 0; i < COUNT; i += 2) {
        free(blocks[i]);
        blocks[i] = NULL;
    }
    free(realloc(malloc(100), 100000));
}

__attribute__((destructor(101))) static void free_rest_late(void)
{
    tell('L', 'X');
    for (size_t i = 1; i < COUNT; i += 2)
        free(blocks[i]);
    free(calloc(1000, 1000));
}
