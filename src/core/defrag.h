// SPDX-License-Identifier: MIT
// Help for programs that defragment themselves: how full the span of a block is, and a move to a fuller one.
// Any thread; a block's owner.
#ifndef TARN_CORE_DEFRAG_H
#define TARN_CORE_DEFRAG_H

#include <stddef.h>

// 0, or EINVAL when p does not lie in a span of small slots. No lock, no walk.
int defrag_utilization(const void *p, size_t *span_live, size_t *span_capacity, size_t *class_average);
// Where the block is from now on. Ends the process if p is no block.
void *defrag_relocate(void *p);

#endif
