// SPDX-License-Identifier: MIT
// Moving memory: what lies behind some pages comes to lie behind others without a copy. The kernel's mappings
// are parted where moved memory meets other, so only whole ranges of 2 MiB move, which part them no more than
// advice about huge pages does, and only so many zones have such. Any thread; the owner of the pages.
#ifndef TARN_BUDDY_MOVE_H
#define TARN_BUDDY_MOVE_H

#include "buddy/zone.h"
#include "core/ids.h"
#include <stdbool.h>
#include <stddef.h>

// Of sixteen ranges each; a process may have 65530 mappings. Guards, where each is a mapping and parts
// another, add two for each of GUARDS_MOST.
#define MOVE_ZONES_MOST 1024

// Whether it is worth while to look for pages to move memory to.
bool move_is_possible(void);
// The memory of a range of HUGE_PAGES moves to another one, as os_move has it.
bool move_range(page_id from, page_id to);
// `to` gets the content of `from`; both are of n pages and share none. Returns how many of the first pages
// hold no memory any more.
size_t move_memory(page_id from, page_id to, size_t n);
// A free zone gives its memory back; false if the kernel kept it.
bool move_purge_zone(struct zone *zone);
// A zone has become one mapping again.
void move_forget(struct zone *zone);

#endif
