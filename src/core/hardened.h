// SPDX-License-Identifier: MIT
// What malloc and free do instead where the heap is hardened (core/harden.h).
// Any thread; a block's owner for what changes or ends it.
#ifndef TARN_CORE_HARDENED_H
#define TARN_CORE_HARDENED_H

#include "core/ids.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// How much of a large block is zeroed when it is freed: all of it would cost more than the rest of its life.
// What lies behind is zeroed by going back to the kernel, unless it is handed out before.
#define HARDENED_ZEROED ((size_t)4096)

// A large block between guards, or without where there are guards enough. As large_alloc.
void *hardened_large_alloc(size_t size, size_t align, bool *clean);
void hardened_large_free(page_id first);
// Such a block moves whenever its pages change.
bool hardened_large_resize(page_id first, size_t size);

// `p` is a slot's start; `entry` is its page's.
void hardened_slot_free(void *p, uint32_t entry);

#endif
