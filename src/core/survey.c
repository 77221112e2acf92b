// SPDX-License-Identifier: MIT
#include "core/survey.h"

#include "buddy/page_heap.h"
#include "buddy/zone_table.h"
#include "core/background.h"
#include "core/central.h"
#include "core/fork.h"
#include "core/guard.h"
#include "core/harden.h"
#include "core/hardened.h"
#include "core/init.h"
#include "core/large.h"
#include "core/limit.h"
#include "core/lone.h"
#include "core/meta.h"
#include "core/options.h"
#include "core/os.h"
#include "core/page_map.h"
#include "core/resident.h"
#include "tcache/tcache.h"
#include <string.h>

static void count_lone(struct stats *stats, struct lone_bytes bytes)
{
    stats->requested_estimate_bytes += bytes.asked;
    stats->lone_bytes += bytes.held;
    stats->guard_bytes += bytes.guards;
}

// The page map tells a span's class and with it everything that does not change; only the count of free slots
// comes from the descriptor, in one atomic word. So the walk needs no lock, though spans come and go
// meanwhile.
static size_t count_block(struct stats *stats, page_id page)
{
    uint32_t entry = page_entry(page);
    if (entry == PAGE_LARGE) {
        stats->large_bytes += large_size(page);
        return 1;
    }
    if (entry == PAGE_HARDENED) {
        stats->large_bytes += large_size(page);
        stats->guard_bytes += load_relaxed(&span_at(page)->guarded) ? 2 * PAGE_SIZE : 0;
        return 1;
    }
    if (entry == PAGE_LONE) {
        count_lone(stats, lone_bytes(page));
        return 1;
    }
    if (!entry_is_small(entry))
        return 1;
    unsigned cls = entry_class(entry);
    const struct size_class_info *info = &size_class_table[cls];
    int64_t free = span_free(span_at(page));
    stats->classes[cls].spans++;
    stats->classes[cls].slots += info->slots;
    stats->classes[cls].free_in_spans += free < 0 ? 0 : (uint64_t)free;
    stats->guard_bytes += load_relaxed(&span_at(page)->guarded) ? PAGE_SIZE : 0;
    stats->span_waste_bytes += info->pages * PAGE_SIZE - (size_t)info->slots * info->size;
    return info->pages;
}

static void count_blocks(struct stats *stats)
{
    for (size_t i = 0; i < zone_table_end(); i++) {
        if (zone_at((zone_id){(uint32_t)i}) == NULL)
            continue;
        uint32_t first = zone_first_page((zone_id){(uint32_t)i}).n;
        for (size_t n = 0; n < ZONE_PAGES;)
            n += count_block(stats, (page_id){first + (uint32_t)n});
    }
}

static uint64_t minus(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

// One allocation in some comes to a slow path, whatever its size; what those asked for stands for all.
static uint64_t estimate_requested(const struct stats_class *self, uint64_t requested)
{
    uint64_t most = self->live_objects * self->size;
    if (self->refills == 0)
        return most;
    return min_size(most, (uint64_t)((double)self->live_objects * (double)requested / (double)self->refills));
}

static void count_class(struct stats *stats, unsigned cls, const struct tcache_counts *caches)
{
    struct stats_class *self = &stats->classes[cls];
    struct central_counts central = central_counts(cls);
    self->size = size_class_size(cls);
    self->cached_thread = caches->objects[cls];
    self->cached_batch = central.batch_objects;
    self->refills = caches->refills[cls];
    uint64_t out = minus(self->slots, self->free_in_spans);
    self->live_objects = minus(out, self->cached_thread + self->cached_batch);
    self->rounding_bytes = self->live_objects * (self->size - size_class_size(cls - 1) - (cls > 1));
    stats->rounding_bytes += self->rounding_bytes;
    self->requested_estimate_bytes = estimate_requested(self, caches->requested[cls]);
    stats->requested_estimate_bytes += self->requested_estimate_bytes;
    stats->live_bytes += self->live_objects * self->size;
    stats->cached_thread_bytes += self->cached_thread * self->size;
    stats->cached_batch_bytes += self->cached_batch * self->size;
    stats->span_free_bytes += self->free_in_spans * self->size;
    stats->refills += self->refills;
    stats->central_batches_in += central.batches_in;
    stats->central_batches_out += central.batches_out;
    stats->spans_made += central.spans_made;
    stats->spans_retired += central.spans_retired;
    stats->span_bytes_purged += central.rested_bytes;
}

static uint64_t bound_or_zero(enum limit_kind kind)
{
    return limit_bound(kind) == LIMIT_NONE ? 0 : limit_bound(kind);
}

static void count_pages(struct stats *stats)
{
    stats->guard_bytes += (guard_stuck_pages() + lone_waiting_pages()) * PAGE_SIZE;
    struct page_heap_counts pages = page_heap_counts();
    stats->page_heap_dirty_bytes = pages.dirty_pages * PAGE_SIZE;
    stats->page_heap_clean_bytes = pages.clean_pages * PAGE_SIZE;
    stats->mapped_bytes = pages.opened_pages * PAGE_SIZE;
    stats->pages_purged = pages.pages_purged;
    stats->purge_calls = pages.purge_calls;
    stats->metadata_bytes = meta_bytes();
    stats->charged_bytes = limit_charged();
    stats->limit_soft_bytes = bound_or_zero(LIMIT_SOFT);
    stats->limit_hard_bytes = bound_or_zero(LIMIT_HARD);
    stats->reserved_bytes = page_map_is_reserved() ? sealed.map.pages * PAGE_SIZE : stats->mapped_bytes;
}

static void count_layers(struct stats *stats)
{
    struct tcache_counts caches;
    tcache_counts_shared(&caches);
    count_blocks(stats);
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++)
        count_class(stats, cls, &caches);
    stats->live_bytes += stats->large_bytes + stats->lone_bytes;
    stats->requested_estimate_bytes += stats->large_bytes;
    count_pages(stats);
    stats->thread_cache_room_bytes = caches.room;
    stats->threads = caches.live;
    stats->thread_caches = caches.caches;
    stats->flushes = caches.flushes;
    stats->forks = fork_count();
}

void survey_take(struct stats *stats)
{
    static const struct stats nothing;
    *stats = nothing;
    stats->rss_bytes = os_resident_bytes();
    os_page_faults(&stats->page_faults_minor, &stats->page_faults_major);
    if (!heap_has_started())
        return;
    bool held = background_hold();
    count_layers(stats);
    if (held)
        background_release();
}

void survey_take_resident(struct stats *stats)
{
    bool held = background_hold();
    survey_take(stats);
    resident_take(stats);
    if (held)
        background_release();
}

static bool validate_layers(void)
{
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++)
        if (!central_validate(cls))
            return false;
    return tcache_validate() && lone_validate() && page_heap_validate();
}

bool survey_validate(void)
{
    if (!heap_has_started())
        return true;
    bool held = background_hold(), valid = validate_layers();
    if (held)
        background_release();
    return valid;
}

// At the end of the process what is cached goes through the spans' bitmaps once more, which finds what was
// freed twice. What runs later works without a cache. Not in a child of fork: many of those live for a moment
// only, and each page that they write to is a copy.
static void check_what_is_cached(void)
{
    tcache_retire();
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++)
        central_trim(cls, true);
}

static __attribute__((destructor)) void at_exit(void)
{
    if (!heap_has_started())
        return;
    background_stop();
    if (fork_count() == 0)
        check_what_is_cached();
    const char *target = load_relaxed(&options.stats);
    if (strcmp(target, "0") == 0)
        return;
    struct stats stats;
    survey_take_resident(&stats);
    stats_report(target, &stats);
}
