// SPDX-License-Identifier: MIT
#include "core/defrag.h"

#include "core/alloc.h"
#include "core/central.h"
#include "core/harden.h"
#include "core/page_map.h"
#include <errno.h>
#include <string.h>

// A span with fewer free slots than one in so many is dense: little is to be gained.
#define DENSE_SHARE 8

static size_t live_slots(struct span *span)
{
    int64_t free = span_free(span); // below 0 for a moment when a give is not counted yet
    return free <= 0 ? span->slots : span->slots - (size_t)free;
}

int defrag_utilization(const void *p, size_t *span_live, size_t *span_capacity, size_t *class_average)
{
    page_id page = page_of(p);
    uint32_t entry = page_entry(page);
    if (!entry_is_small(entry))
        return EINVAL;
    struct span *span = span_of_page(page);
    *span_live = live_slots(span);
    *span_capacity = span->slots;
    *class_average = central_average_live(entry_class(entry));
    return 0;
}

// A new block from malloc would come from the thread's cache, and the old one go there, to be the next: so
// both go past it, straight from the fullest span and straight back.
static void *move_to_denser(void *p, struct span *span)
{
    unsigned cls = span->cls;
    void *moved = central_take_denser(span);
    if (moved == NULL)
        return p;
    memcpy(moved, p, size_class_size(cls));
    central_give(cls, &p, 1);
    return moved;
}

static bool is_sparse(struct span *span)
{
    size_t live = live_slots(span);
    return live <= central_average_live(span->cls) && span->slots - live > span->slots / DENSE_SHARE;
}

// A hardened heap has chosen the place by chance, and not to be found again.
void *defrag_relocate(void *p)
{
    if (p == NULL || alloc_usable_size(p, "tarn_relocate") > SIZE_CLASS_MAX || is_hardened())
        return p;
    page_id page = page_of(p);
    if (!entry_is_small(page_entry(page)) || !is_sparse(span_of_page(page)))
        return p;
    return move_to_denser(p, span_of_page(page));
}
