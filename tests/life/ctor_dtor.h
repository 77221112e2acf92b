// SPDX-License-Identifier: MIT
// What ctor_dtor and its shared library tell each other about the order of their lives.
// One thread only, as constructors and destructors are.

#ifndef TESTS_LIFE_CTOR_DTOR_H
#define TESTS_LIFE_CTOR_DTOR_H

// Where the letters of `library_tell` go once the program has set it.
void library_tell_to(int file);

// Blocks the library allocated in its constructors, still whole?
int library_blocks_stand(void);

#endif
