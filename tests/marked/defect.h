// SPDX-License-Identifier: MIT
// What the programs of this folder share: the allocator under the names that its library has.
// Any thread.

#ifndef TESTS_MARKED_DEFECT_H
#define TESTS_MARKED_DEFECT_H

#include "../support/names.h"

// A value that is read must be used: valgrind leaves out loads whose result nobody wants.
__attribute__((unused)) static volatile int sink;

#endif
