// SPDX-License-Identifier: MIT
// Put before the sources of the public functions when they are compiled once more for a library of marked
// blocks: what they call is renamed. Constants only.
#ifndef TARN_MARKED_ENTRY_H
#define TARN_MARKED_ENTRY_H

#include "marked/marked.h"

#define alloc_fast marked_malloc
#define alloc_zeroed marked_zeroed
#define alloc_resize marked_resize
#define alloc_resize_array marked_resize_array
#define alloc_free_fast marked_free
#define alloc_free_sized marked_free_sized
#define alloc_free_aligned_sized marked_free_aligned_sized
#define alloc_aligned marked_aligned
#define alloc_aligned_c marked_aligned_c
#define alloc_memalign marked_memalign
#define alloc_posix_memalign marked_posix_memalign
#define alloc_valloc marked_valloc
#define alloc_pvalloc marked_pvalloc
#define alloc_usable_size marked_usable_size
#define alloc_good_size marked_good_size

#endif
