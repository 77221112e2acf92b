// SPDX-License-Identifier: MIT
#include "buddy/zone.h"

#include "core/os.h"
#include <string.h>

#define TRIES 8       // how many blocks that are too small by themselves one request looks at
#define TIGHT_MOST 32 // pages: what is larger may grow into what its block leaves behind it

void zone_init(struct zone *self, zone_id id)
{
    self->id = id;
    self->bucket = UNLISTED;
    store_relaxed(&self->stripe, NO_STRIPE);
    buddy_init_full(&self->buddy);
}

// Nothing is used, and nothing holds memory.
static bool is_empty(const struct zone *self, size_t first, size_t n)
{
    return bits_find_set(self->used, first, first + n) == first + n &&
           bits_find_set(self->dirty, first, first + n) == first + n;
}

static void note_fresh(struct zone *self, size_t first, size_t n)
{
    uint32_t fresh = load_relaxed(&self->fresh);
    for (size_t range = first / HUGE_PAGES; range * HUGE_PAGES < first + n; range++)
        fresh |= (uint32_t)is_empty(self, range * HUGE_PAGES, HUGE_PAGES) << range;
    store_relaxed(&self->fresh, fresh);
}

uint32_t zone_choose_huge(struct zone *self, uint32_t ranges, bool huge)
{
    uint32_t fresh = load_relaxed(&self->fresh) & ranges;
    uint32_t before = load_relaxed(&self->huge), changed = fresh & (huge ? ~before : before);
    store_relaxed(&self->fresh, load_relaxed(&self->fresh) & ~fresh);
    store_relaxed(&self->huge, before ^ changed);
    for (uint32_t left = huge ? fresh : 0; left != 0; left &= left - 1) {
        size_t first = bits_lowest(left) * HUGE_PAGES;
        size_t free = HUGE_PAGES - bits_count_range(self->used, first, HUGE_PAGES);
        self->dirty_pages += (uint32_t)(free - bits_count_range(self->dirty, first, HUGE_PAGES));
        for (size_t word = first / 64; word < (first + HUGE_PAGES) / 64; word++)
            self->dirty[word] = ~self->used[word];
    }
    return changed;
}

uint32_t zone_dirty_ranges(const struct zone *self)
{
    uint32_t ranges = 0;
    for (size_t range = 0; range < HUGE_RANGES; range++) {
        size_t end = (range + 1) * HUGE_PAGES;
        ranges |= (uint32_t)(bits_find_clear(self->dirty, range * HUGE_PAGES, end) == end) << range;
    }
    return ranges;
}

// The huge ranges of which giving these pages back would leave a part.
static uint32_t ranges_broken(const struct zone *self, size_t first, size_t n)
{
    uint32_t broken = load_relaxed(&self->huge) & zone_ranges(first, n);
    for (uint32_t left = broken; left != 0; left &= left - 1) {
        size_t start = bits_lowest(left) * HUGE_PAGES;
        if (first <= start && start + HUGE_PAGES <= first + n)
            broken &= ~(left & -left);
    }
    return broken;
}

uint32_t zone_break_huge(struct zone *self, size_t first, size_t n)
{
    uint32_t broken = ranges_broken(self, first, n);
    store_relaxed(&self->huge, load_relaxed(&self->huge) & ~broken);
    return broken;
}

static void note_taken(struct zone *self, size_t first, size_t n, bool *clean)
{
    size_t dirty = bits_count_range(self->dirty, first, n);
    *clean = dirty == 0;
    note_fresh(self, first, n);
    if (dirty != 0) {
        bits_clear_range(self->dirty, first, n);
        bits_clear_range(self->aged, first, n);
    }
    bits_set_range(self->used, first, n);
    self->used_pages += (uint32_t)n;
    self->dirty_pages -= (uint32_t)dirty;
}

// --- Places. A request of five pages in a block of eight leaves three that few others fit into. So what is
// no power of two lies against the used pages before it, wherever the buddies' bounds are, and what is free
// stays together behind it.

static size_t run_start(const struct zone *self, size_t page)
{
    while (page > 0 && !bits_test(self->used, page - 1))
        page--;
    return page;
}

static bool run_holds(const struct zone *self, size_t start, size_t n)
{
    return start + n <= ZONE_PAGES && bits_find_set(self->used, start, start + n) == start + n;
}

// Free pages that hold n though none of the blocks among them does.
static size_t find_between_blocks(const struct zone *self, size_t n)
{
    unsigned order = bits_highest(n);
    size_t page = 0;
    for (int tries = 0; tries < TRIES; tries++) {
        page = buddy_find_exact(&self->buddy, order, page);
        if (page == BUDDY_NONE)
            return BUDDY_NONE;
        size_t start = run_start(self, page);
        if (run_holds(self, start, n))
            return start;
        page += (size_t)1 << order;
    }
    return BUDDY_NONE;
}

static size_t find_second(const struct zone *self, size_t n)
{
    size_t first = HUGE_PAGES - 1;
    while (first + n <= ZONE_PAGES && !run_holds(self, first, n))
        first += HUGE_PAGES;
    return first + n <= ZONE_PAGES ? first : BUDDY_NONE;
}

static size_t find_place(const struct zone *self, size_t n, size_t align)
{
    if (align == ALIGN_SECOND)
        return find_second(self, n);
    if (align > 1 || n > TIGHT_MOST || (n & (n - 1)) == 0)
        return buddy_find(&self->buddy, n, align);
    size_t between = find_between_blocks(self, n), block;
    if (between != BUDDY_NONE || (block = buddy_find(&self->buddy, n, 1)) == BUDDY_NONE)
        return between;
    return run_start(self, block);
}

size_t zone_take(struct zone *self, size_t n, size_t align, bool *clean)
{
    size_t first = find_place(self, n, align);
    if (first == BUDDY_NONE)
        return first;
    buddy_take_at(&self->buddy, first, n);
    note_taken(self, first, n, clean);
    return first;
}

bool zone_has_place(const struct zone *self, size_t n, size_t align)
{
    return find_place(self, n, align) != BUDDY_NONE;
}

bool zone_next_is_dirty(const struct zone *self, size_t n, size_t align)
{
    size_t first = find_place(self, n, align);
    return first != BUDDY_NONE && bits_find_set(self->dirty, first, first + n) != first + n;
}

bool zone_take_at(struct zone *self, size_t first, size_t n, bool *clean)
{
    if (bits_find_set(self->used, first, first + n) != first + n)
        return false;
    buddy_take_at(&self->buddy, first, n);
    note_taken(self, first, n, clean);
    return true;
}

void zone_note_described(struct zone *self, size_t first, size_t n)
{
    size_t low = first * PAGE_DESCRIPTOR_BYTES / DESCRIBED_BYTES;
    size_t end = ((first + n) * PAGE_DESCRIPTOR_BYTES + DESCRIBED_BYTES - 1) / DESCRIBED_BYTES;
    bits_set_range(self->described, low, end - low);
}

void zone_give(struct zone *self, size_t first, size_t n, bool dirty)
{
    bits_clear_range(self->used, first, n);
    self->used_pages -= (uint32_t)n;
    if (dirty) {
        zone_note_described(self, first, n);
        bits_set_range(self->dirty, first, n);
        self->dirty_pages += (uint32_t)n;
    }
    buddy_give(&self->buddy, first, n);
}

static bool next_run(const struct zone *self, size_t from, size_t last, enum zone_purge which, size_t *first,
                     size_t *end)
{
    size_t hit = bits_find_set(purge_wants_aged(which) ? self->aged : self->dirty, from, last);
    if (hit >= last)
        return false;
    *end = bits_find_clear(self->dirty, hit, ZONE_PAGES);
    while (hit > from && bits_test(self->dirty, hit - 1))
        hit--;
    *first = hit;
    return true;
}

// Leaves out what would break a huge page at either end.
static void spare_broken(const struct zone *self, size_t *first, size_t *n)
{
    size_t end = *first + *n;
    uint32_t broken = ranges_broken(self, *first, *n);
    if ((broken >> *first / HUGE_PAGES & 1) != 0)
        *first = align_up(*first + 1, HUGE_PAGES);
    if ((broken >> (end - 1) / HUGE_PAGES & 1) != 0)
        end = align_down(end - 1, HUGE_PAGES);
    *n = end > *first ? end - *first : 0;
}

// Free pages beside a run complete its first and last unit, or those units stay.
static size_t widened_start(const struct zone *self, size_t start, size_t unit)
{
    size_t down = align_down(start, unit);
    return bits_find_set(self->used, down, start) == start ? down : down + unit;
}

static size_t widened_end(const struct zone *self, size_t end, size_t unit)
{
    size_t up = align_up(end, unit);
    return bits_find_set(self->used, end, up) == up ? up : up - unit;
}

bool zone_find_purgeable(const struct zone *self, size_t from, size_t end, size_t unit, enum zone_purge which,
                         size_t *first, size_t *n)
{
    size_t run_start, run_end;
    while (from < end && next_run(self, from, end, which, &run_start, &run_end)) {
        *first = widened_start(self, run_start, unit);
        *n = max_size(widened_end(self, run_end, unit), *first) - *first;
        if (*n != 0 && (which == PURGE_AGED_UNBROKEN || which == PURGE_UNBROKEN))
            spare_broken(self, first, n);
        if (*n != 0)
            return true;
        from = run_end;
    }
    return false;
}

void zone_age(struct zone *self, size_t first, size_t n)
{
    memcpy(&self->aged[first / 64], &self->dirty[first / 64], n / 8);
}

static bool may_be_described(const struct zone *self, size_t from, size_t unit)
{
    struct zone_described part = {from, from + unit};
    size_t low = from / DESCRIBED_BYTES, end = part.end / DESCRIBED_BYTES;
    return bits_find_set(self->described, low, end) != end &&
           is_empty(self, described_first(part), described_pages(part));
}

bool zone_take_described(struct zone *self, struct zone_described range, size_t unit,
                         struct zone_described *found)
{
    bool clean;
    size_t from = range.from;
    while (from < range.end && !may_be_described(self, from, unit))
        from += unit;
    found->from = from;
    while (from < range.end && may_be_described(self, from, unit))
        from += unit;
    found->end = from;
    if (found->from == found->end)
        return false;
    bits_clear_range(self->described, found->from / DESCRIBED_BYTES, (from - found->from) / DESCRIBED_BYTES);
    return zone_take_at(self, described_first(*found), described_pages(*found), &clean);
}

void zone_forget_described(struct zone *self, struct zone_described range)
{
    uintptr_t start = (uintptr_t)self->descriptors, unit = os_page_size();
    uintptr_t from = align_up(start + range.from, unit), end = align_down(start + range.end, unit);
    if (from < end)
        os_purge((void *)from, end - from);
}

void zone_repair(struct zone *self)
{
    buddy_init_empty(&self->buddy);
    memset(self->dirty, 0, sizeof self->dirty);
    memset(self->aged, 0, sizeof self->aged);
    bits_set_range(self->described, 0, DESCRIBED_PARTS);
    self->used_pages = (uint32_t)bits_count_range(self->used, 0, ZONE_PAGES);
    self->dirty_pages = ZONE_PAGES - self->used_pages;
    for (size_t i = 0; i < ZONE_PAGES / 64; i++)
        self->dirty[i] = ~self->used[i];
    for (size_t first = 0; (first = bits_find_clear(self->used, first, ZONE_PAGES)) != ZONE_PAGES;) {
        size_t end = bits_find_set(self->used, first, ZONE_PAGES);
        buddy_give(&self->buddy, first, end - first);
        first = end;
    }
}

bool zone_validate(const struct zone *self)
{
    uint64_t free[ZONE_PAGES / 64] = {0};
    buddy_mark_free(&self->buddy, free);
    for (size_t i = 0; i < ZONE_PAGES / 64; i++)
        if (free[i] != ~self->used[i] || (self->used[i] & self->dirty[i]) != 0 ||
            (self->aged[i] & ~self->dirty[i]) != 0)
            return false;
    return buddy_validate(&self->buddy) && bits_count_range(self->used, 0, ZONE_PAGES) == self->used_pages &&
           bits_count_range(self->dirty, 0, ZONE_PAGES) == self->dirty_pages;
}
