// SPDX-License-Identifier: MIT
#include "core/resident.h"

#include "buddy/zone_table.h"
#include "core/bits.h"
#include "core/init.h"
#include "core/large.h"
#include "core/meta.h"
#include "core/os.h"
#include "core/page_map.h"
#include "core/span.h"

#define WINDOW_PAGES 2048 // of the kernel's, that are asked about at once

// What the kernel said about the range [start, end). It says nothing about one with holes, so what is asked
// about ends at `mapped_end`.
struct presence {
    uintptr_t start, end, mapped_end;
    unsigned char pages[WINDOW_PAGES];
};

struct walk {
    struct presence presence;
    uint64_t large, free; // resident bytes in large blocks, and in pages that are no block
    uint64_t taken[SIZE_CLASS_COUNT], waste,
        spare; // in slots that are out of their spans, in tails, in free slots
};

static bool is_present(struct presence *self, uintptr_t address)
{
    size_t unit = os_page_size();
    if (address < self->start || address >= self->end) {
        self->start = align_down(address, unit);
        self->end = min_size(self->start + WINDOW_PAGES * unit, align_up(self->mapped_end, unit));
        os_presence((void *)self->start, self->end - self->start, self->pages);
    }
    return (self->pages[(address - self->start) / unit] & 1) != 0;
}

// Resident bytes of [from, to).
static uint64_t count_present(struct presence *self, uintptr_t from, uintptr_t to)
{
    size_t unit = os_page_size();
    uint64_t bytes = 0;
    for (uintptr_t next; from < to; from = next) {
        next = min_size(align_down(from, unit) + unit, to);
        bytes += is_present(self, from) ? next - from : 0;
    }
    return bytes;
}

struct slots {
    uint64_t free[SIZE_CLASS_SLOTS_MAX / 64 + 1]; // a copy of the span's bits
    size_t size, n;
};

static uint64_t free_part(const struct slots *self, size_t slot, size_t bytes)
{
    return slot < self->n && bits_test(self->free, slot) ? bytes : 0;
}

// Bytes of free slots in [from, to), offsets in the span.
static uint64_t count_free(const struct slots *self, size_t from, size_t to)
{
    size_t first = from / self->size, last = (to - 1) / self->size;
    if (first == last)
        return free_part(self, first, to - from);
    uint64_t edges = free_part(self, first, (first + 1) * self->size - from) +
                     free_part(self, last, to - last * self->size);
    size_t end = min_size(last, self->n);
    return edges +
           (end > first + 1 ? bits_count_range(self->free, first + 1, end - first - 1) * self->size : 0);
}

// A part of a span that lies in one page of the kernel's and is resident.
static void count_part(struct walk *walk, unsigned cls, const struct slots *slots, size_t from, size_t to)
{
    size_t end = slots->n * slots->size, slot_end = min_size(to, end);
    if (to > end)
        walk->waste += to - max_size(from, end);
    if (from >= slot_end)
        return;
    uint64_t free = count_free(slots, from, slot_end);
    walk->spare += free;
    walk->taken[cls] += slot_end - from - free;
}

static void count_span(struct walk *walk, page_id page, unsigned cls)
{
    const struct size_class_info *info = &size_class_table[cls];
    struct span *span = span_at(page);
    struct slots slots = {.size = info->size, .n = info->slots};
    uintptr_t start = (uintptr_t)page_address(page), end = start + info->pages * PAGE_SIZE;
    size_t unit = os_page_size();
    for (size_t i = 0; i * 64 < slots.n; i++)
        slots.free[i] = load_relaxed(&span->bits[i]);
    for (uintptr_t from = start, next; from < end; from = next) {
        next = min_size(align_down(from, unit) + unit, end);
        if (is_present(&walk->presence, from))
            count_part(walk, cls, &slots, from - start, next - start);
    }
}

// Returns how many pages were looked at.
static size_t count_block(struct walk *walk, page_id page, size_t pages_left)
{
    uint32_t entry = page_entry(page);
    walk->presence.mapped_end = (uintptr_t)zone_address((zone_id){page_zone(page).n + 1});
    if (entry_is_small(entry)) {
        unsigned cls = entry_class(entry);
        count_span(walk, page, cls);
        return size_class_table[cls].pages;
    }
    bool large = entry == PAGE_LARGE || entry == PAGE_HARDENED || entry == PAGE_LONE;
    size_t n = large ? max_size(1, min_size(large_size(page) / PAGE_SIZE, pages_left)) : 1;
    uintptr_t start = (uintptr_t)page_address(page), end = start + n * PAGE_SIZE;
    walk->presence.mapped_end = max_size(walk->presence.mapped_end, end);
    *(large ? &walk->large : &walk->free) += count_present(&walk->presence, start, end);
    return n;
}

static void walk_zones(struct walk *walk)
{
    size_t end = zone_table_end() * ZONE_PAGES;
    for (size_t n = 0; n < end;) {
        page_id page = {(uint32_t)n};
        n += zone_at(page_zone(page)) == NULL ? ZONE_PAGES : count_block(walk, page, end - n);
    }
}

static uint64_t count_mapping(struct presence *presence, uintptr_t start, size_t size)
{
    presence->mapped_end = start + size;
    presence->end = presence->start; // what is known may end before
    return count_present(presence, start, start + size);
}

static uint64_t count_metadata(struct presence *presence)
{
    uint64_t bytes = 0;
    uintptr_t start;
    size_t size;
    for (const void *at = NULL; (at = meta_next(at, &start, &size)) != NULL;)
        bytes += count_mapping(presence, start, size);
    for (size_t i = 0; i < zone_table_end(); i++)
        if (zone_at((zone_id){(uint32_t)i}) != NULL)
            bytes += count_mapping(presence, (uintptr_t)&sealed.map.entries[i * ZONE_PAGES],
                                   ZONE_PAGES * sizeof *sealed.map.entries);
    return bytes;
}

static uint64_t share(uint64_t bytes, uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (uint64_t)((double)bytes * (double)part / (double)whole);
}

// Which of the slots that are out of their spans lie in caches is known only by number, so the resident part
// is divided by number too.
static void divide_class(struct stats *stats, unsigned cls, uint64_t taken)
{
    const struct stats_class *self = &stats->classes[cls];
    uint64_t cached = self->cached_thread + self->cached_batch;
    uint64_t in_caches = share(taken, cached, self->live_objects + cached);
    stats->resident_cached_bytes += in_caches;
    stats->resident_live_bytes += taken - in_caches;
}

static uint64_t minus(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

static void fill_in(struct stats *stats, const struct walk *walk)
{
    stats->resident_live_bytes = walk->large;
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++)
        divide_class(stats, cls, walk->taken[cls]);
    stats->resident_span_free_bytes = walk->spare;
    stats->resident_span_waste_bytes = walk->waste;
    stats->resident_dirty_bytes = min_size(walk->free, stats->page_heap_dirty_bytes);
    stats->resident_excess_bytes = walk->free - stats->resident_dirty_bytes;
    stats->untouched_bytes = minus(stats->live_bytes, stats->resident_live_bytes);
}

// What is not the heap's is what remains. When another thread gave memory back between the walk and the
// kernel's count, the count is what must give way.
static void fill_in_rest(struct stats *stats)
{
    struct os_memory memory = os_memory();
    uint64_t ours = stats->resident_live_bytes + stats->resident_cached_bytes +
                    stats->resident_span_free_bytes + stats->resident_span_waste_bytes +
                    stats->resident_dirty_bytes + stats->resident_excess_bytes +
                    stats->resident_metadata_bytes;
    stats->resident_file_bytes = memory.files;
    stats->resident_other_bytes = minus(memory.anonymous, ours);
    stats->rss_bytes = ours + stats->resident_file_bytes + stats->resident_other_bytes;
    stats->huge_page_bytes = memory.huge;
}

void resident_take(struct stats *stats)
{
    struct walk walk = {0};
    if (heap_has_started()) {
        walk_zones(&walk);
        fill_in(stats, &walk);
        stats->resident_metadata_bytes = count_metadata(&walk.presence);
    }
    fill_in_rest(stats);
}
