// SPDX-License-Identifier: MIT
#include "core/guard.h"

#include "core/atomics.h"
#include "core/os.h"
#include "core/page_map.h"

static atomic_u64 standing; // relaxed: a bound, not a hand-over

static atomic_u64 stuck; // relaxed: pages of guards that could not be lifted

size_t guard_stuck_pages(void) { return load_relaxed(&stuck); }
size_t guard_count(void) { return load_relaxed(&standing); }

bool guard_is_possible(void) { return page_map_is_reserved() && os_page_size() <= PAGE_SIZE; }

bool guard_raise(page_id first, size_t pages)
{
    if (!guard_is_possible())
        return false;
    if (fetch_add_relaxed(&standing, 1) < GUARDS_MOST && os_forbid(page_address(first), pages * PAGE_SIZE))
        return true;
    fetch_sub_relaxed(&standing, 1);
    return false;
}

static bool lower(page_id first, size_t pages)
{
    if (!os_permit(page_address(first), pages * PAGE_SIZE))
        return false;
    fetch_sub_relaxed(&standing, 1);
    return true;
}

bool guard_lift(page_id first, size_t pages)
{
    if (lower(first, pages))
        return true;
    fetch_add_relaxed(&stuck, pages);
    return false;
}

bool guard_open(void *part, size_t size)
{
    if (fetch_add_relaxed(&standing, 1) < GUARDS_MOST && os_permit(part, size))
        return true;
    fetch_sub_relaxed(&standing, 1);
    return false;
}

bool guard_close(void *part, size_t size)
{
    fetch_sub_relaxed(&standing, 1);
    return os_forbid(part, size);
}

static page_id last_of(page_id first, size_t n) { return (page_id){first.n + (uint32_t)n - 1}; }

bool guard_raise_ends(page_id first, size_t n)
{
    if (!guard_raise(first, 1))
        return false;
    // Where the kernel takes neither the second nor the first one back, the first stands alone.
    return guard_raise(last_of(first, n), 1) || !lower(first, 1);
}

void guard_lift_tail(page_id first, size_t *n) { *n -= guard_lift(last_of(first, *n), 1) ? 0 : 1; }

bool guard_move_tail(page_id first, size_t n, size_t *more)
{
    if (!guard_raise(last_of(first, n + *more), 1))
        return false;
    if (lower(last_of(first, n), 1))
        return true;
    guard_lift_tail((page_id){first.n + (uint32_t)n}, more);
    return false;
}

void guard_lift_ends(page_id *first, size_t *n)
{
    guard_lift_tail(*first, n);
    if (guard_lift(*first, 1))
        return;
    first->n++;
    --*n;
}
