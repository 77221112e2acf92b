// SPDX-License-Identifier: MIT
// The ends of programs that misuse memory: one exact line that names the pointer and, as far as they are
// known, the calls that allocated and freed its block, then abort. Any thread, with or without locks held;
// nothing here allocates.
#ifndef TARN_CORE_MISUSE_H
#define TARN_CORE_MISUSE_H

#include "core/site.h"
#include <stddef.h>

_Noreturn void misuse_double_free(const void *p, struct sites sites);
// `call` is the function that was given the pointer: free, realloc, malloc_usable_size.
_Noreturn void misuse_foreign(const char *call, const void *p);
_Noreturn void misuse_interior(const char *call, const void *p, const void *block, struct sites sites);
// `slot` is the size of the block's slot.
_Noreturn void misuse_overrun(const void *p, size_t slot, struct sites sites);
_Noreturn void misuse_underrun(const void *p, struct sites sites);
_Noreturn void misuse_written_after_free(const void *p, size_t slot, struct sites sites);
_Noreturn void misuse_size(const char *call, const void *p, size_t size, size_t holds, struct sites sites);

#endif
