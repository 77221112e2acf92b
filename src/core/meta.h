// SPDX-License-Identifier: MIT
// Memory for the library's own data: zeroed, never unmapped, so a stale pointer into it can always be read.
// Any thread.
#ifndef TARN_CORE_META_H
#define TARN_CORE_META_H

#include <stddef.h>
#include <stdint.h>

void meta_init(void);
// `align` is a power of two, at most a kernel page. NULL when the kernel or the
// hard limit refuses.
void *meta_alloc(size_t size, size_t align);
// Address space taken for metadata, in bytes.
size_t meta_bytes(void);
// The mappings that all of it lies in, one after the other: NULL first, then what was returned last; NULL at
// the end.
const void *meta_next(const void *at, uintptr_t *start, size_t *size);
void meta_after_fork(void);

#endif
