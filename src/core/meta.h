// SPDX-License-Identifier: MIT
// Memory for the library's own data: zeroed, never given back, so a stale pointer into it can always be read.
// Any thread.
#ifndef TARN_CORE_META_H
#define TARN_CORE_META_H

#include <stddef.h>

void meta_init(void);
// `align` is a power of two, at most a kernel page. NULL when the kernel or the
// hard limit refuses.
void *meta_alloc(size_t size, size_t align);
// Address space taken for metadata, in bytes.
size_t meta_bytes(void);
void meta_after_fork(void);

#endif
