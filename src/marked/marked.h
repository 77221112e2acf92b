// SPDX-License-Identifier: MIT
// Marked blocks, for finding faults in programs: each lies between two zones that nobody may touch, and what
// was freed stays untouchable for a while. Any thread. The functions do what their namesakes in alloc.h do.
#ifndef TARN_MARKED_MARKED_H
#define TARN_MARKED_MARKED_H

#include "core/alloc.h"

void *marked_malloc(size_t size);
void *marked_zeroed(size_t count, size_t size);
void *marked_resize(void *p, size_t size);
void *marked_resize_array(void *p, size_t count, size_t size);
void marked_free(void *p);
void marked_free_sized(void *p, size_t size);
void marked_free_aligned_sized(void *p, size_t align, size_t size);
void *marked_aligned(size_t align, size_t size);
void *marked_aligned_c(size_t align, size_t size);
void *marked_memalign(size_t align, size_t size);
int marked_posix_memalign(void **result, size_t align, size_t size);
void *marked_valloc(size_t size);
void *marked_pvalloc(size_t size);
size_t marked_usable_size(const void *p, const char *call);
size_t marked_good_size(size_t size);

#endif
