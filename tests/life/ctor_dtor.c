// SPDX-License-Identifier: MIT
// Allocations before all constructors, in constructors, in exit handlers and in destructors, in this program
// and in a shared library.  The life to be looked at is a child's; each station of its end writes a letter
// into a pipe.

#define _GNU_SOURCE
#include "ctor_dtor.h"

#include "../support/checks.h"
#include "../support/fill.h"

#include <string.h>

static unsigned char *before_all, *before_main, *in_main;
static int pipe_end = -1;

static void allocate_before_all(void) { fill(before_all = malloc(5000), 5000, 1); }

__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = allocate_before_all;

__attribute__((constructor)) static void allocate_before_main(void)
{
    fill(before_main = realloc(malloc(10), 50000), 50000, 2);
}

static void tell(char letter)
{
    if (pipe_end >= 0)
        expect(write(pipe_end, &letter, 1) == 1);
}

static void at_exit(void)
{
    expect(fill_stands(in_main, 3000000, 3));
    in_main = realloc(in_main, 4000000);
    expect(in_main != NULL && fill_stands(in_main, 3000000, 3));
    free(before_all);
    tell('e');
}

__attribute__((destructor)) static void free_at_the_end(void)
{
    if (in_main == NULL)
        return;
    expect(fill_stands(before_main, 50000, 2) && fill_stands(in_main, 3000000, 3));
    free(before_main);
    free(in_main);
    tell('d');
}

static void live(int file)
{
    limit_seconds(60);
    pipe_end = file;
    library_tell_to(file);
    expect(library_blocks_stand());
    expect(fill_stands(before_all, 5000, 1) && fill_stands(before_main, 50000, 2));
    fill(in_main = malloc(3000000), 3000000, 3);
    expect(atexit(at_exit) == 0);
    exit(0);
}

int main(void)
{
    int ends[2];
    char told[16] = "";
    size_t length = 0;
    ssize_t got;
    expect(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0)
        live(ends[1]);
    close(ends[1]);
    while ((got = read(ends[0], told + length, sizeof told - 1 - length)) > 0)
        length += (size_t)got;
    expect_child_exits(child, 0);
    expect(strcmp(told, "edlL") == 0);
    return 0;
}
