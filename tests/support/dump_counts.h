// SPDX-License-Identifier: MIT
// Included before all else in builds that count lines: a process that ends by abort or _exit leaves its
// counts, too. Any thread.

#ifndef TESTS_SUPPORT_DUMP_COUNTS_H
#define TESTS_SUPPORT_DUMP_COUNTS_H

#define _GNU_SOURCE // the sources' own definition comes too late for the headers here
#include <stdlib.h>
#include <unistd.h>

void __gcov_dump(void);

static inline _Noreturn void dump_counts_and_abort(void)
{
    __gcov_dump();
    abort();
}

static inline _Noreturn void dump_counts_and_exit(int status)
{
    __gcov_dump();
    _exit(status);
}

#define abort dump_counts_and_abort
#define _exit dump_counts_and_exit

#endif
