// SPDX-License-Identifier: MIT
// Large blocks: whole pages straight from the page heap.
// Any thread; a block's owner for what changes or ends it.
#ifndef TARN_CORE_LARGE_H
#define TARN_CORE_LARGE_H

#include "core/ids.h"
#include <stdbool.h>
#include <stddef.h>

// `align` is a power of two. *clean tells that the block reads as zeros; NULL: it does not matter, the
// program is about to write to it. NULL without memory.
void *large_alloc(size_t size, size_t align, bool *clean);
// A block that was freed a moment ago, of that many pages or some more, or NULL; 1 <= size <= PTRDIFF_MAX.
void *large_alloc_recent(size_t size);
// Makes `size` bytes of a block that may hold memory read as zeros; of one that large_alloc or
// large_alloc_recent gave.
void large_zero(void *block, size_t size);
void large_free(page_id first);
// What lies in a block moves to a larger one, without a copy as far as that is possible, and the block ends.
// False, and nothing has changed, where copying is as good.
bool large_move(page_id from, page_id to);
// Whether so many pages' content would come to `to` for less than a copy.
bool large_pays_to_move(page_id to, size_t pages);
size_t large_size(page_id first);
// What the two above do about huge pages, for other large blocks: one begins whose memory is fresh, and of
// which the program asked for so many pages; it ends.
void large_watch(page_id first, size_t pages);
void large_learn(page_id first, size_t pages);
// Changes the block's size where it stands; false if it has to move.
bool large_resize(page_id first, size_t size);

#endif
