// SPDX-License-Identifier: MIT
// The quarantine: freed slots wait here for any number of further frees before they can be handed out again.
// Any thread; lock-free. A place holds a slot or nothing, so it is whole for the child of a fork.
#ifndef TARN_CORE_QUARANTINE_H
#define TARN_CORE_QUARANTINE_H

#include "core/size_class.h"

// Bounds on memory: 4096 slots of up to 1 KiB, and 64 larger ones.
#define QUARANTINE_SMALL 4096
#define QUARANTINE_MEDIUM 64

// Puts a free slot of the class in; returns the one that had to leave its place, chosen by chance, or NULL.
void *quarantine_exchange(void *p, unsigned cls);
// Takes any slot out; NULL when there is none. *from, 0 at first, is where the search goes on.
void *quarantine_next(size_t *from);
// Adds the number of slots that wait to their classes' counts.
void quarantine_count(uint64_t counts[SIZE_CLASS_COUNT]);

#endif
