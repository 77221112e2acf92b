// SPDX-License-Identifier: MIT
// Lone blocks: small blocks on kernel pages of their own, between pages that fault; a freed one faults too.
// Any thread; a block's owner for what changes or ends it.
#ifndef TARN_CORE_LONE_H
#define TARN_CORE_LONE_H

#include "core/guard.h"
#include "core/ids.h"
#include <stddef.h>
#include <stdint.h>

// A live lone block counts as two guards, a freed one that waits as one. Beyond this many in all there are
// none, so that something is left for large blocks and spans.
#define LONE_GUARDS (GUARDS_MOST / 4 * 3)
// While no more than this many are left, a request has a chance of left / LONE_PLENTY.
#define LONE_PLENTY (LONE_GUARDS / 2)
// So many freed blocks' addresses wait, in the order in which they came.
#define LONE_WAITING ((size_t)1024)

// NULL: the request is none of the sample, its alignment is above the kernel's page, there are no guards
// left, or no memory. As elsewhere (hardened.h), `site` is where the call comes from. 0 <= size <=
// SIZE_CLASS_MAX.
void *lone_alloc(size_t size, size_t align, const void *site);
// `head` is the page that a block begins on, the one with its entry in the page map.
void *lone_address(page_id head);
// Ends the process if the block is freed already, or was run over.
void lone_free(page_id head, const void *site);
// How many bytes were asked for. Ends the process if the block was run over.
size_t lone_size(page_id head);
// For statistics. What was asked for lies in whole pages of the kernel's; the rest of the heap's pages
// faults.
struct lone_bytes {
    size_t asked, held, guards;
};

struct lone_bytes lone_bytes(page_id head);
// Pages of freed blocks that wait.
uint64_t lone_waiting_pages(void);
// Checks what waits; no other thread allocates.
bool lone_validate(void);

#endif
