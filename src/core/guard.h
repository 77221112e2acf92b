// SPDX-License-Identifier: MIT
// Guards: pages of the heap that nothing may touch, so that what runs over the end of a block faults there.
// Any thread; a page's owner raises and lifts.
#ifndef TARN_CORE_GUARD_H
#define TARN_CORE_GUARD_H

#include "core/ids.h"
#include <stdbool.h>

// A guard may split a mapping in three, and the kernel grants a process 65530 mappings unless told otherwise:
// guards take at most half of them.
#define GUARDS_MOST 16384

// Whether there can be any: not in an interval of address space that others use too, nor where the kernel's
// pages are larger than ours, for it would forbid or wipe whole ones.
bool guard_is_possible(void);

// Makes pages inaccessible; their memory goes back to the kernel. False when there are guards enough, or the
// kernel refuses.
bool guard_raise(page_id first, size_t pages);
// The pages can be used again, and read as zeros. False when the kernel refuses; then they stay as they are,
// and nobody's.
bool guard_lift(page_id first, size_t pages);
// Opens a part of a raised guard, whole pages of the kernel's: what was one guard is two then. The part reads
// as zeros. False when there are guards enough, or the kernel refuses.
bool guard_open(void *part, size_t size);
// Closes the part that was opened, and its memory goes back; they count as one again, also where the kernel
// refuses, which is false: then the part stays open.
bool guard_close(void *part, size_t size);
// Raises the first and the last page of a run of n: both or none.
bool guard_raise_ends(page_id first, size_t n);
// Lifts them; the run is shorter by what stays.
void guard_lift_ends(page_id *first, size_t *n);
// The same for the last page alone.
void guard_lift_tail(page_id first, size_t *n);
// The last page of a run of n is a guard; the last of *more pages behind it becomes one instead. False when
// there are guards enough, or the kernel refuses: then it stays, and *more is less by what stays a guard
// there.
bool guard_move_tail(page_id first, size_t n, size_t *more);
// Pages that stay so.
size_t guard_stuck_pages(void);
// Guards that stand.
size_t guard_count(void);

#endif
