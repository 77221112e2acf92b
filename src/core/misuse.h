// SPDX-License-Identifier: MIT
// The ends of programs that misuse memory: one exact line that names the pointer, then abort.
// Any thread, with or without locks held; nothing here allocates.
#ifndef TARN_CORE_MISUSE_H
#define TARN_CORE_MISUSE_H

#include <stddef.h>

_Noreturn void misuse_double_free(const void *p);
// `call` is the function that was given the pointer: free, realloc, malloc_usable_size.
_Noreturn void misuse_foreign(const char *call, const void *p);
_Noreturn void misuse_interior(const char *call, const void *p, const void *block);
// `slot` is the size of the block's slot.
_Noreturn void misuse_overrun(const void *p, size_t slot);
_Noreturn void misuse_underrun(const void *p);
_Noreturn void misuse_written_after_free(const void *p, size_t slot);
_Noreturn void misuse_size(const char *call, const void *p, size_t size, size_t holds);

#endif
