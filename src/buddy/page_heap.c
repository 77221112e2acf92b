// SPDX-License-Identifier: MIT
#include "buddy/page_heap.h"

#include "buddy/huge.h"
#include "buddy/move.h"
#include "buddy/recent.h"
#include "buddy/zone_table.h"
#include "core/decay.h"
#include "core/guard.h"
#include "core/harden.h"
#include "core/intake.h"
#include "core/limit.h"
#include "core/lock.h"
#include "core/meta.h"
#include "core/options.h"
#include "core/os.h"
#include "core/page_map.h"
#include <string.h>

#define MAX_STRIPES 64
// Free memory is much when it is more than MUCH_LEAST pages and a MUCH_SHARE-th of what is used.
#define MUCH_LEAST ((8 << 20) >> PAGE_SHIFT)
#define MUCH_SHARE 2
// Of free pages that hold memory so many stay while the heap grows: a share of what is used, and some.
#define KEPT_SHARE 8
#define KEPT_LEAST ((64 << 20) >> PAGE_SHIFT)
#define UNFILLED_SHARE 16 // one block in so many is not filled with free memory
#define EXCHANGE_LEAST ((1 << 20) >> PAGE_SHIFT)
// A block comes from another processor's stripe, one of so many, rather than from pages that hold no memory
// when that one has so many free ones which do.
#define WALK_STRIPES 4
#define WALK_LEAST HUGE_PAGES
#define GUARDED_ABOVE 8    // sizes, of which there are eight for each doubling
#define SECOND_TRIES 32    // zones that are looked at for a block that is to begin behind a guard
#define GIVES_PER_CLOCK 32 // of recent blocks: reading the clock costs as much as the rest
#define RELIEF_MS 10       // at the least between two times that memory goes back above the soft limit

// A block on its way home to a stripe whose lock was held; it lies in the descriptor of the block's first
// page. The words between are left as they are: others may still read them.
struct returning {
    char state[RETURNING_PAGES_AT];
    uint16_t n; // <= ZONE_PAGES
    char guarded[RETURNING_FIRST_AT - RETURNING_PAGES_AT - sizeof(uint16_t)];
    page_id first;
    char asked[RETURNING_NODE_AT - RETURNING_FIRST_AT - sizeof(page_id)];
    struct intake_node node;
};

_Static_assert(offsetof(struct returning, n) == RETURNING_PAGES_AT &&
                   offsetof(struct returning, first) == RETURNING_FIRST_AT &&
                   offsetof(struct returning, node) == RETURNING_NODE_AT,
               "a returning block writes to what is its own");
_Static_assert(ZONE_PAGES <= UINT16_MAX, "its size fits");

// A zone of the stripe is in the list of its bucket, or in none when it is full.
//   bit b of `occupied` is set <=> buckets[b] is not empty
struct stripe {
    _Alignas(CACHE_LINE) struct lock lock;
    atomic_u32 occupied;                // written under lock; read without it only to choose where to try
    struct intake intake;               // blocks that came while the lock was held
    struct zone *buckets[BUDDY_ORDERS]; // guarded by lock
    uint64_t used;                      // guarded by lock: pages
    atomic_u64 dirty;                   // as `occupied`: pages
    uint64_t purged, purge_calls;       // guarded by lock
    struct huge_history history;
};

static struct {
    atomic_u64 huge_pages;   // relaxed: pages in zones that are wholly part of a block larger than a zone
    atomic_u64 purged_zones; // relaxed: pages given back while they lay in free zones
    atomic_u64 purge_calls;
    struct decay_clock clock;
    atomic_u64 relief_ms; // relaxed: when memory went back last above the soft limit
    uint32_t stripe_count;
    atomic_u32 fills;     // relaxed: fresh blocks that could have been filled
    atomic_u32 exchanged; // relaxed: where exchange_dirty and fill_from_free go on
    atomic_u32 relieved;  // relaxed: the same for relieve
    struct stripe stripes[MAX_STRIPES];
} heap TABLE;

static uint32_t stripes_wanted(void)
{
    if (!page_map_is_reserved())
        return 1;
    size_t wanted = load_relaxed(&options.stripes);
    if (wanted == 0)
        wanted = os_cpu_count();
    return (uint32_t)min_size(wanted, MAX_STRIPES);
}

void page_heap_init(void)
{
    heap.stripe_count = stripes_wanted();
    for (uint32_t i = 0; i < heap.stripe_count; i++) {
        lock_init(&heap.stripes[i].lock, LOCK_STRIPE);
        intake_init(&heap.stripes[i].intake);
    }
    recent_init(heap.stripe_count);
    if (page_map_is_reserved())
        huge_init((void *)sealed.map.base, sealed.map.pages * PAGE_SIZE);
    decay_clock_start(&heap.clock);
}

unsigned page_heap_stripes(void) { return heap.stripe_count; }

// --- A stripe's lists; all of these run under its lock.

static void add_dirty(struct stripe *self, uint64_t pages)
{
    store_relaxed(&self->dirty, load_relaxed(&self->dirty) + pages);
}

static void list_remove(struct stripe *self, struct zone *zone)
{
    if (zone->bucket == UNLISTED)
        return;
    if (zone->previous != NULL)
        zone->previous->next = zone->next;
    else
        self->buckets[zone->bucket] = zone->next;
    if (zone->next != NULL)
        zone->next->previous = zone->previous;
    if (self->buckets[zone->bucket] == NULL)
        store_relaxed(&self->occupied, load_relaxed(&self->occupied) & ~(1u << zone->bucket));
    zone->bucket = UNLISTED;
}

static void list_insert(struct stripe *self, struct zone *zone, int bucket)
{
    zone->bucket = bucket;
    zone->previous = NULL;
    zone->next = self->buckets[bucket];
    if (zone->next != NULL)
        zone->next->previous = zone;
    self->buckets[bucket] = zone;
    store_relaxed(&self->occupied, load_relaxed(&self->occupied) | 1u << bucket);
}

static void relist(struct stripe *self, struct zone *zone)
{
    int bucket = buddy_largest(&zone->buddy);
    if (bucket == zone->bucket)
        return;
    list_remove(self, zone);
    if (bucket != UNLISTED)
        list_insert(self, zone, bucket);
}

static bool is_in_stripe(const struct stripe *self, const struct zone *zone)
{
    return load_relaxed(&zone->stripe) == (uint32_t)(self - heap.stripes);
}

static void stripe_adopt_locked(struct stripe *self, struct zone *zone)
{
    store_relaxed(&zone->stripe, (uint32_t)(self - heap.stripes));
    self->used += zone->used_pages;
    add_dirty(self, zone->dirty_pages);
    relist(self, zone);
}

static void stripe_abandon_locked(struct stripe *self, struct zone *zone)
{
    list_remove(self, zone);
    self->used -= zone->used_pages;
    add_dirty(self, 0 - (uint64_t)zone->dirty_pages);
    store_relaxed(&zone->stripe, NO_STRIPE);
}

// A stripe keeps one wholly free zone for its next block, so that a program which takes and gives one block
// in turn does not open and close a zone each time. Where address space is short it keeps none. In a child of
// fork we may have interrupted ourselves inside the zone table; then the zone stays too.
static bool stripe_keeps(const struct stripe *self, const struct zone *zone)
{
    bool has_free_zone = self->buckets[BUDDY_TOP_ORDER] != NULL;
    return zone->used_pages != 0 || (!has_free_zone && page_map_is_reserved()) || zone_table_is_mine();
}

static void stripe_give_locked(struct stripe *self, page_id first, size_t n, bool dirty)
{
    struct zone *zone = zone_of_page(first);
    zone_give(zone, page_in_zone(first), n, dirty);
    decay_note();
    self->used -= n;
    add_dirty(self, dirty ? n : 0);
    if (stripe_keeps(self, zone)) {
        relist(self, zone);
        return;
    }
    stripe_abandon_locked(self, zone);
    zone_table_give(zone->id);
}

static struct returning *returning_of(struct intake_node *node)
{
    return (struct returning *)(void *)((char *)node - offsetof(struct returning, node));
}

static void drain_locked(struct stripe *self)
{
    struct intake_node *node;
    while ((node = intake_drain(&self->intake)) != NULL) {
        struct returning *block = returning_of(node);
        stripe_give_locked(self, block->first, block->n, true);
    }
}

// A block may come between the drain and the unlock; its sender tried the lock in vain, so we look again.
static void stripe_leave(struct stripe *self)
{
    do {
        drain_locked(self);
        lock_drop(&self->lock);
        fence_after_exchange(); // the look into the intake may not come before the unlock; pairs with
                                // give_in_stripe
    } while (!intake_is_empty(&self->intake) && lock_try(&self->lock));
}

// Its largest block does not tell where a run of pages of any size can begin.
static struct zone *zone_for_second_locked(struct stripe *self, size_t n)
{
    unsigned tries = SECOND_TRIES;
    for (size_t b = zone_order(n, ALIGN_SECOND); b < BUDDY_TOP_ORDER; b++)
        for (struct zone *zone = self->buckets[b]; zone != NULL && tries > 0; zone = zone->next, tries--)
            if (zone_has_place(zone, n, ALIGN_SECOND))
                return zone;
    return self->buckets[BUDDY_TOP_ORDER]; // a whole one has
}

// The zone with the smallest largest block that fits: this fills full zones up and leaves empty ones whole.
static struct zone *fitting_zone_locked(struct stripe *self, size_t n, size_t align)
{
    if (align == ALIGN_SECOND)
        return zone_for_second_locked(self, n);
    uint32_t fitting = load_relaxed(&self->occupied) >> zone_order(n, align);
    return fitting == 0 ? NULL : self->buckets[bits_lowest(fitting) + zone_order(n, align)];
}

static bool next_is_dirty_locked(struct stripe *self, size_t n, size_t align)
{
    struct zone *zone = fitting_zone_locked(self, n, align);
    return zone != NULL && zone_next_is_dirty(zone, n, align);
}

// *fresh grows by the pages of it that hold no memory.
static page_id stripe_take_locked(struct stripe *self, size_t n, size_t align, size_t *fresh)
{
    bool clean;
    struct zone *zone = fitting_zone_locked(self, n, align);
    if (zone == NULL)
        return NO_PAGE;
    uint32_t dirty_before = zone->dirty_pages;
    size_t page = zone_take(zone, n, align, &clean);
    size_t dirty = dirty_before - zone->dirty_pages;
    self->used += n;
    add_dirty(self, 0 - (uint64_t)dirty);
    *fresh += n - dirty;
    relist(self, zone);
    return (page_id){zone_first_page(zone->id).n + (uint32_t)page};
}

// --- Blocks that fit into a zone.

static struct stripe *stripe_near(uint32_t cpu, uint32_t distance)
{
    return &heap.stripes[(cpu + distance) % heap.stripe_count];
}

static struct stripe *local_stripe(uint32_t distance) { return stripe_near(os_cpu(), distance); }

static bool stripe_has_room(struct stripe *self, size_t n, size_t align)
{
    return load_relaxed(&self->occupied) >> zone_order(n, align) != 0;
}

// Whose lock may be waited for, and what may be taken.
enum taking { TAKE_TRYING, TAKE_WAITING, TAKE_DIRTY };

static page_id take_from_stripe(struct stripe *self, size_t n, size_t align, size_t *fresh, enum taking how)
{
    if (!stripe_has_room(self, n, align))
        return NO_PAGE;
    if (how == TAKE_WAITING && !lock_is_mine(&self->lock))
        lock_take(&self->lock);
    else if (!lock_try(&self->lock))
        return NO_PAGE;
    page_id page = NO_PAGE;
    if (how != TAKE_DIRTY || next_is_dirty_locked(self, n, align))
        page = stripe_take_locked(self, n, align, fresh);
    stripe_leave(self);
    return page;
}

static bool is_worth_a_walk(struct stripe *self) { return load_relaxed(&self->dirty) >= WALK_LEAST; }

// Threads move between processors: where one was before lies memory that it gave back, and taking that keeps
// the heap from growing. Only a few neighbours are asked.
static page_id take_dirty(size_t n, size_t align, size_t *fresh)
{
    uint32_t cpu = os_cpu(), end = (uint32_t)min_size(heap.stripe_count, WALK_STRIPES), next = 1;
    while (next < end && !is_worth_a_walk(stripe_near(cpu, next)))
        next++;
    if (next >= end)
        return NO_PAGE;
    page_id page = take_from_stripe(stripe_near(cpu, 0), n, align, fresh, TAKE_DIRTY);
    for (; next < end && page.n == NO_PAGE.n; next++)
        if (is_worth_a_walk(stripe_near(cpu, next)))
            page = take_from_stripe(stripe_near(cpu, next), n, align, fresh, TAKE_DIRTY);
    return page;
}

static page_id take_from_any(size_t n, size_t align, size_t *fresh, enum taking how)
{
    page_id page = NO_PAGE;
    uint32_t cpu = os_cpu();
    for (uint32_t i = 0; i < heap.stripe_count && page.n == NO_PAGE.n; i++)
        page = take_from_stripe(stripe_near(cpu, i), n, align, fresh, how);
    return page;
}

// The stripe to which a new zone goes; when we hold the near one already (we interrupted ourselves), another.
static struct stripe *enter_for_new_zone(void)
{
    struct stripe *self = local_stripe(0);
    for (uint32_t i = 1; i < heap.stripe_count && lock_is_mine(&self->lock); i++)
        self = local_stripe(i);
    lock_take(&self->lock);
    return self;
}

static page_id take_from_new_zone(size_t n, size_t align, size_t *fresh)
{
    zone_id id = zone_table_take(1, 1);
    if (id.n == NO_ZONE.n)
        return NO_PAGE;
    struct stripe *self = enter_for_new_zone();
    page_id page = stripe_take_locked(self, n, align, fresh);
    if (page.n == NO_PAGE.n) {
        stripe_adopt_locked(self, zone_known(id));
        page = stripe_take_locked(self, n, align, fresh);
    } else { // another thread has brought a zone meanwhile; ours would lie here unused
        zone_table_give(id);
    }
    stripe_leave(self);
    return page;
}

// --- Giving back.

static void give_in_stripe(struct stripe *self, page_id first, size_t n)
{
    if (!lock_try(&self->lock)) {
        struct returning *block = page_descriptor(first);
        block->first = first;
        block->n = (uint16_t)n;
        intake_push(&self->intake, &block->node);
        if (!lock_try(&self->lock))
            return; // the holder looks into the intake after it has unlocked; the push is a full barrier
    } else {
        stripe_give_locked(self, first, n, true);
    }
    stripe_leave(self);
}

static void give_whole_zone(struct zone *zone, bool dirty)
{
    zone_give(zone, 0, ZONE_PAGES, dirty);
    decay_note();
    fetch_sub_relaxed(&heap.huge_pages, ZONE_PAGES);
    zone_table_give(zone->id);
}

// Part of a whole zone: from now on it is an ordinary zone in a stripe.
static void break_whole_zone(struct zone *zone)
{
    struct stripe *self = enter_for_new_zone();
    stripe_adopt_locked(self, zone);
    fetch_sub_relaxed(&heap.huge_pages, ZONE_PAGES);
    stripe_leave(self);
}

static void give_in_zone(page_id first, size_t n)
{
    struct zone *zone = zone_of_page(first);
    if (load_relaxed(&zone->stripe) == NO_STRIPE) {
        if (n == ZONE_PAGES) {
            give_whole_zone(zone, true);
            return;
        }
        break_whole_zone(zone);
    }
    give_in_stripe(&heap.stripes[load_relaxed(&zone->stripe)], first, n);
}

static size_t part_in_zone(page_id first, size_t n) { return min_size(n, ZONE_PAGES - page_in_zone(first)); }

static void give_run(struct page_run run)
{
    while (run.n > 0) {
        size_t in_zone = part_in_zone(run.first, run.n);
        give_in_zone(run.first, in_zone);
        run.first.n += (uint32_t)in_zone;
        run.n -= in_zone;
    }
}

// Guards come down first.
static void send_home(struct page_run run)
{
    size_t n = run.n & ~RECENT_FLAGS;
    if ((run.n & RECENT_GUARDED) != 0)
        guard_lift_ends(&run.first, &n);
    else if ((run.n & RECENT_TAILED) != 0)
        guard_lift_tail(run.first, &n);
    give_run((struct page_run){run.first, n});
}

// True if there were any: their pages are where other requests can have them.
static bool give_recent_of(size_t least)
{
    size_t from = 0;
    if (zone_table_end() == 0) // the sets were never touched
        return false;
    struct page_run run = recent_next_of(&from, least);
    bool any = run.n != 0;
    for (; run.n != 0; run = recent_next_of(&from, least))
        send_home(run);
    return any;
}

static bool give_recent(void) { return give_recent_of(0); }

// The same to spare the heap from growing. Guarded ones stay, since the next request would only raise them
// again; but not where they are so large, and mostly filled, that their memory is worth more than their
// guards.
static bool give_spare(void)
{
    return is_hardened() ? huge_blocks_are_filled() && give_recent_of(HUGE_PAGES) : give_recent();
}

// --- Blocks larger than a zone: whole zones, and the head of one more whose rest serves smaller blocks.

static void claim_whole_zone(struct zone *zone, size_t *fresh)
{
    bool clean;
    *fresh += ZONE_PAGES - zone->dirty_pages;
    zone_take_at(zone, 0, ZONE_PAGES, &clean);
    fetch_add_relaxed(&heap.huge_pages, ZONE_PAGES);
}

static void claim_head(struct zone *zone, size_t n, size_t *fresh)
{
    bool clean;
    struct stripe *self = enter_for_new_zone();
    uint32_t dirty_before = zone->dirty_pages;
    zone_take_at(zone, 0, n, &clean);
    *fresh += n - (dirty_before - zone->dirty_pages);
    stripe_adopt_locked(self, zone);
    stripe_leave(self);
}

static page_id take_zones(size_t n, size_t align, size_t *fresh)
{
    give_spare();
    size_t whole = n / ZONE_PAGES, rest = n % ZONE_PAGES;
    if (n > os_memory_bytes() / PAGE_SIZE) // as the kernel refuses a mapping that memory and swap cannot hold
        return NO_PAGE;
    zone_id first = zone_table_take(whole + (rest != 0), max_size(1, align / ZONE_PAGES));
    if (first.n == NO_ZONE.n)
        return NO_PAGE;
    for (uint32_t i = 0; i < whole; i++)
        claim_whole_zone(zone_known((zone_id){first.n + i}), fresh);
    if (rest != 0)
        claim_head(zone_known((zone_id){first.n + (uint32_t)whole}), rest, fresh);
    return zone_first_page(first);
}

// What room there is lies behind locks that are held, and none near: then a zone more is better than a wait,
// now and later.
static bool wants_own_zone(size_t n, size_t align)
{
    bool elsewhere = false;
    for (uint32_t i = 1; i < heap.stripe_count && !elsewhere; i++)
        elsewhere = stripe_has_room(local_stripe(i), n, align);
    return elsewhere && page_map_is_reserved() && !stripe_has_room(local_stripe(0), n, align);
}

static page_id take_once(size_t n, size_t align, size_t *fresh)
{
    if (n > ZONE_PAGES || align > ZONE_PAGES)
        return take_zones(n, align, fresh);
    page_id page = take_dirty(n, align, fresh);
    if (page.n == NO_PAGE.n)
        page = take_from_any(n, align, fresh, TAKE_TRYING);
    if (page.n == NO_PAGE.n && wants_own_zone(n, align))
        page = take_from_new_zone(n, align, fresh);
    if (page.n == NO_PAGE.n)
        page = take_from_any(n, align, fresh, TAKE_WAITING);
    if (page.n == NO_PAGE.n && give_spare()) // before the heap grows
        page = take_from_any(n, align, fresh, TAKE_WAITING);
    if (page.n == NO_PAGE.n)
        page = take_from_new_zone(n, align, fresh);
    return page;
}

// What stripes keep for themselves goes back to the table, for a block that needs whole zones or for
// another's promise of memory.
static void release_free_zones(void)
{
    give_recent();
    for (uint32_t i = 0; i < heap.stripe_count; i++) {
        struct stripe *stripe = &heap.stripes[i];
        if (lock_is_mine(&stripe->lock))
            continue;
        lock_take(&stripe->lock);
        struct zone *zone;
        while ((zone = stripe->buckets[BUDDY_TOP_ORDER]) != NULL) { // after a fork there may be several
            stripe_abandon_locked(stripe, zone);
            zone_table_give(zone->id);
        }
        stripe_leave(stripe);
    }
    zone_table_decommit();
}

static size_t purge_phase(uint32_t phase, enum zone_purge which);

static void relieve_of(enum zone_purge which, uint64_t bound, uint64_t bytes)
{
    uint32_t from = fetch_add_relaxed(&heap.relieved, 1);
    for (uint32_t i = 0; i < DECAY_PHASES && limit_charged() + bytes > bound; i++)
        purge_phase((from + i) % DECAY_PHASES, which);
}

// Gives free pages' memory back part by part until `bytes` fit below the bound or none is left. Recent blocks
// first become free pages, and huge pages that are partly in use are broken last.
static void relieve(uint64_t bound, uint64_t bytes)
{
    give_recent();
    relieve_of(PURGE_UNBROKEN, bound, bytes);
    relieve_of(PURGE_ALL, bound, bytes);
}

void page_heap_relieve(uint64_t bound) { relieve(bound, 0); }

// Threads reserve before they take, so together they cannot pass the limit. What turns out to hold memory
// already was charged before, and is given up by settle.
bool page_heap_reserve(uint64_t bytes)
{
    uint64_t hard = limit_bound(LIMIT_HARD);
    if (likely(limit_reserve(bytes)))
        return true;
    if (bytes <= hard)
        relieve(hard, bytes);
    bool reserved = limit_reserve(bytes);
    if (!reserved)
        limit_note_refusal();
    return reserved;
}

static bool reserve(size_t n) { return page_heap_reserve((uint64_t)n * PAGE_SIZE); }

// `fresh` pages more may be resident than before; `reserved` are charged.
static void settle(size_t reserved, size_t fresh)
{
    if (reserved > fresh)
        limit_discharge((uint64_t)(reserved - fresh) * PAGE_SIZE);
    else if (fresh > reserved)
        limit_charge((uint64_t)(fresh - reserved) * PAGE_SIZE);
    if (fresh != 0)
        limit_note_growth();
}

// We may have interrupted ourselves.
static bool holds_a_lock(void)
{
    bool mine = zone_table_is_mine();
    for (uint32_t i = 0; i < heap.stripe_count && !mine; i++)
        mine = lock_is_mine(&heap.stripes[i].lock);
    return mine;
}

static bool keeps_much(void)
{
    struct page_heap_counts counts = page_heap_counts();
    return counts.dirty_pages > MUCH_LEAST && counts.dirty_pages > counts.used_pages / MUCH_SHARE;
}

static size_t purge_part(uint32_t part);

// Only pages that were free when the search last came by: where sizes come again, the others are soon in use.
static void purge_aged_parts(size_t n)
{
    size_t parts = zone_table_end() * DECAY_PHASES, purged = 0;
    for (size_t i = 0; i < parts && purged < n; i++)
        purged += purge_part(fetch_add_relaxed(&heap.exchanged, 1) % (uint32_t)parts);
}

// Any. Where large blocks are filled, all that is free holds memory, and to wait for the next search would
// hold as much again as the blocks do. Returns how many went back.
static size_t purge_while_much(size_t n, enum zone_purge which)
{
    size_t purged = 0;
    for (uint32_t i = 0; i < DECAY_PHASES && purged < n && keeps_much(); i++)
        purged += purge_phase(fetch_add_relaxed(&heap.relieved, 1) % DECAY_PHASES, which);
    return purged;
}

// A large block is about to fill n pages that hold no memory yet, while other free ones hold much: as many of
// those go back, so that the process does not grow by what it has already.
static void exchange_dirty(size_t n)
{
    if (load_relaxed(&options.decay_ms) < 0 || holds_a_lock() || !keeps_much())
        return;
    give_spare();
    if (!huge_blocks_are_filled())
        purge_aged_parts(n);
    else if (purge_while_much(n, PURGE_UNBROKEN) == 0)
        purge_while_much(n, PURGE_ALL);
}

// --- The size of the kernel's pages.

// Tells the kernel about ranges of a zone, neighbours in one call.
static void advise_ranges(const struct zone *zone, uint32_t ranges, bool huge)
{
    while (ranges != 0) {
        unsigned low = bits_lowest(ranges), n = bits_lowest(~((uint64_t)ranges >> low));
        char *start = (char *)zone_address(zone->id) + ((size_t)low << HUGE_SHIFT);
        os_advise_huge(start, (size_t)n << HUGE_SHIFT, huge);
        ranges &= ~(uint32_t)(((UINT64_C(1) << n) - 1) << low);
    }
}

// Ranges that belong wholly to a block.
static void choose_for_block(struct zone *zone, uint32_t ranges, size_t n_block)
{
    bool huge = huge_pays(n_block, 0, false);
    advise_ranges(zone, zone_choose_huge(zone, ranges, huge), huge);
}

// All of a huge page is resident at once. Not above the soft limit, nor where the hard one leaves no room.
static bool reserve_huge(uint64_t bytes) { return !limit_is_above_soft() && limit_reserve(bytes); }

// The caller owns a block of n_block pages that reaches into these ranges, so they stay in use. Another such
// owner may have been faster; then nothing is fresh any more.
static void choose_in_stripe(struct stripe *self, struct zone *zone, uint32_t ranges, size_t n_block)
{
    bool small = n_block < HUGE_PAGES, dense = small && huge_is_dense(&self->history);
    lock_take(&self->lock);
    uint32_t fresh = load_relaxed(&zone->fresh) & ranges, dirty_before = zone->dirty_pages;
    uint64_t reserved = (uint64_t)bits_count(fresh) << HUGE_SHIFT;
    bool huge = fresh != 0 && huge_pays(n_block, self->used, dense && !huge_spares(&self->history)) &&
                reserve_huge(reserved);
    uint32_t changed = zone_choose_huge(zone, ranges, huge);
    uint32_t dirtied = zone->dirty_pages - dirty_before;
    add_dirty(self, dirtied);
    stripe_leave(self);
    if (huge)
        limit_discharge(reserved - dirtied * PAGE_SIZE);
    if (small && fresh != 0 && !huge)
        huge_note_small(&self->history,
                        (page_id){zone_first_page(zone->id).n + bits_lowest(fresh) * (uint32_t)HUGE_PAGES});
    advise_ranges(zone, changed, huge);
}

static void choose_page_size(struct zone *zone, uint32_t ranges, size_t n_block)
{
    uint32_t stripe = load_relaxed(&zone->stripe);
    if ((load_relaxed(&zone->fresh) & ranges) == 0)
        return;
    if (stripe == NO_STRIPE)
        choose_for_block(zone, ranges, n_block);
    else
        choose_in_stripe(&heap.stripes[stripe], zone, ranges, n_block);
}

static void choose_page_sizes(page_id first, size_t n)
{
    for (size_t done = 0, part; done < n; done += part) {
        page_id page = {first.n + (uint32_t)done};
        part = part_in_zone(page, n - done);
        choose_page_size(zone_of_page(page), zone_ranges(page_in_zone(page), part), n);
    }
}

// A guard will stand there, and leaves its range no huge page. Whoever takes its other pages could choose one
// otherwise, and all of the range would count as resident. Under the stripe's lock, or the zone is the
// block's.
static void keep_small(page_id guard)
{
    struct zone *zone = zone_of_page(guard);
    uint32_t range = zone_ranges(page_in_zone(guard), 1), stripe = load_relaxed(&zone->stripe), changed;
    if ((load_relaxed(&zone->fresh) & range) == 0)
        return;
    if (stripe != NO_STRIPE)
        lock_take(&heap.stripes[stripe].lock);
    changed = zone_choose_huge(zone, range, false);
    if (stripe != NO_STRIPE)
        stripe_leave(&heap.stripes[stripe]);
    advise_ranges(zone, changed, false);
}

void page_heap_break_huge(page_id first, size_t n)
{
    struct zone *zone = zone_of_page(first);
    size_t page = page_in_zone(first);
    struct stripe *stripe = &heap.stripes[load_relaxed(&zone->stripe)];
    if ((load_relaxed(&zone->huge) & zone_ranges(page, n)) == 0)
        return;
    lock_take(&stripe->lock);
    uint32_t broken = zone_break_huge(zone, page, n);
    stripe_leave(stripe);
    advise_ranges(zone, broken, false);
}

bool page_heap_can_move(void) { return move_is_possible() && !holds_a_lock(); }

// The kernel's advice has come along with the memory.
static void advise_as_noted(page_id first, size_t n)
{
    for (size_t done = 0, part; done < n; done += part) {
        page_id page = {first.n + (uint32_t)done};
        struct zone *zone = zone_of_page(page);
        part = part_in_zone(page, n - done);
        uint32_t ranges = zone_ranges(page_in_zone(page), part), huge = load_relaxed(&zone->huge) & ranges;
        advise_ranges(zone, huge, true);
        advise_ranges(zone, ranges & ~huge, false);
    }
}

// --- Memory for a fresh block from what is free. A large block finds no room among free pages that hold
// memory though they are many, because they lie scattered. Then whole ranges of those come to lie behind the
// block: the process does not grow, and nothing is filled with zeros.

static bool is_worth_moving(void)
{
    uint64_t dirty = 0;
    for (uint32_t i = 0; i < heap.stripe_count; i++)
        dirty += load_relaxed(&heap.stripes[i].dirty);
    return dirty >= MUCH_LEAST;
}

// At most n ranges of the zone that are free and hold memory, as bits.
static uint32_t take_ranges_locked(struct stripe *self, struct zone *zone, size_t n)
{
    bool clean;
    uint32_t taken = 0;
    for (uint32_t left = is_in_stripe(self, zone) ? zone_dirty_ranges(zone) : 0; left != 0 && n > 0;
         left &= left - 1, n--) {
        zone_take_at(zone, bits_lowest(left) * HUGE_PAGES, HUGE_PAGES, &clean);
        self->used += HUGE_PAGES;
        add_dirty(self, 0 - (uint64_t)HUGE_PAGES);
        taken |= left & -left;
    }
    if (taken != 0)
        relist(self, zone);
    return taken;
}

static page_id range_page(const struct zone *zone, uint32_t ranges)
{
    return (page_id){zone_first_page(zone->id).n + bits_lowest(ranges) * (uint32_t)HUGE_PAGES};
}

static void skip_range(struct page_run *to)
{
    to->first.n += HUGE_PAGES;
    to->n -= HUGE_PAGES;
}

// True at a range of the block that holds no memory; the others are behind us.
static bool find_empty(struct page_run *to)
{
    while (to->n >= HUGE_PAGES && os_resident_pages(page_address(to->first), HUGE_PAGES * PAGE_SIZE) != 0)
        skip_range(to);
    return to->n >= HUGE_PAGES;
}

static bool is_resident(page_id range)
{
    size_t bytes = HUGE_PAGES * PAGE_SIZE;
    return os_resident_pages(page_address(range), bytes) == bytes / os_page_size();
}

// Which of the ranges moved; they come to lie where the block holds no memory.
static uint32_t move_ranges(const struct zone *zone, uint32_t ranges, struct page_run *to)
{
    uint32_t moved = 0;
    for (; ranges != 0 && find_empty(to); ranges &= ranges - 1) {
        if (!is_resident(range_page(zone, ranges)))
            continue;
        if (!move_range(range_page(zone, ranges), to->first))
            break;
        advise_as_noted(to->first, HUGE_PAGES);
        skip_range(to);
        moved |= ranges & -ranges;
    }
    return moved;
}

// True if anything came.
static bool fill_from_zone(struct stripe *self, struct zone *zone, struct page_run *to)
{
    lock_take(&self->lock);
    uint32_t ranges = take_ranges_locked(self, zone, to->n / HUGE_PAGES);
    stripe_leave(self);
    if (ranges == 0)
        return false;
    uint32_t moved = move_ranges(zone, ranges, to);
    lock_take(&self->lock);
    for (uint32_t left = ranges; left != 0; left &= left - 1)
        stripe_give_locked(self, range_page(zone, left), HUGE_PAGES, (moved & left & -left) == 0);
    stripe_leave(self);
    limit_discharge((uint64_t)bits_count(moved) << HUGE_SHIFT);
    return moved != 0;
}

// Now and then a block stays as it is, to see whether the program still fills them.
static bool is_to_be_filled(page_id first, size_t n)
{
    return n >= HUGE_PAGES && huge_begins(first) && huge_blocks_are_filled() && is_worth_moving() &&
           page_heap_can_move() && fetch_add_relaxed(&heap.fills, 1) % UNFILLED_SHARE != 0;
}

static bool fill_from_free(page_id first, size_t n)
{
    bool any = false;
    struct page_run to = {first, is_to_be_filled(first, n) ? n : 0};
    size_t zones = zone_table_end();
    for (size_t i = 0; i < zones && to.n >= HUGE_PAGES; i++) {
        uint32_t next = fetch_add_relaxed(&heap.exchanged, 1) % (uint32_t)zones;
        struct zone *zone = zone_at((zone_id){next});
        uint32_t stripe = zone == NULL ? NO_STRIPE : load_relaxed(&zone->stripe);
        if (stripe != NO_STRIPE)
            any |= fill_from_zone(&heap.stripes[stripe], zone, &to);
    }
    return any;
}

// `lead` pages more come before the block, and go back. Where its first and last pages are to be guards the
// second may begin a range.
struct request {
    size_t n, align, lead;
    bool guarded, fills;
};

static page_id take_or_release(size_t n, size_t align, size_t *fresh)
{
    page_id first = take_once(n, align, fresh);
    if (first.n != NO_PAGE.n)
        return first;
    release_free_zones(); // what is free may still count against a limit on promised memory
    return take_once(n, align, fresh);
}

static page_id drop_lead(page_id first, size_t lead)
{
    if (first.n == NO_PAGE.n || lead == 0)
        return first;
    give_run((struct page_run){first, lead});
    return page_behind(first, lead);
}

// True if the block got memory that was free.
static bool furnish(struct request want, page_id first, size_t fresh)
{
    struct page_run inner = {first, want.n};
    if (want.guarded) {
        inner = (struct page_run){page_behind(first, 1), align_down(want.n - 2, HUGE_PAGES)};
        keep_small(first);
        keep_small(page_behind(first, want.n - 1));
    }
    choose_page_sizes(inner.first, inner.n);
    return want.fills && fresh >= HUGE_PAGES && fill_from_free(inner.first, inner.n);
}

static struct page_block take_block(struct request want)
{
    struct page_block block = {NO_PAGE, false};
    size_t n = want.n, all = want.lead + n, reserved = unlikely(limit_is_set()) ? n : 0, fresh = 0;
    if (all > sealed.map.pages || (reserved != 0 && !reserve(n)))
        return block;
    block.first = drop_lead(take_or_release(all, want.align, &fresh), want.lead);
    bool filled = block.first.n != NO_PAGE.n && furnish(want, block.first, fresh);
    block.clean = block.first.n != NO_PAGE.n && fresh == all && !filled;
    settle(reserved, fresh); // now: what has moved is no growth
    if (block.clean && n >= EXCHANGE_LEAST)
        exchange_dirty(n);
    return block;
}

static struct page_block take_plainly(size_t n, size_t align, bool fills)
{
    return take_block((struct request){.n = n, .align = max_size(1, align >> PAGE_SHIFT), .fills = fills});
}

struct page_block page_heap_take(size_t n, size_t align) { return take_plainly(n, align, false); }
struct page_block page_heap_take_filled(size_t n, size_t align) { return take_plainly(n, align, true); }

struct page_block page_heap_take_second(size_t n, size_t align_pages, bool fills)
{
    struct request want = {.n = n, .align = ALIGN_SECOND, .guarded = true, .fills = fills};
    if (align_pages != HUGE_PAGES || n > ZONE_PAGES - (HUGE_PAGES - 1)) {
        want.align = align_pages;
        want.lead = align_pages - 1;
    }
    return take_block(want);
}

void page_heap_give(page_id first, size_t n)
{
    give_run((struct page_run){first, n});
    page_heap_decay();
}

// Where address space is short, free zones go back at once, and recent blocks would hold them.
static inline bool keeps_recent(void)
{
    return load_relaxed(&options.decay_ms) != 0 && page_map_is_reserved() && !limit_is_above_soft();
}

static NOINLINE void give_displaced(struct recent_set *set, page_id first, size_t n)
{
    struct page_run displaced = recent_displace(set, first, n);
    if (displaced.n != 0) // else another thread has made room meanwhile
        send_home(displaced);
}

static NOINLINE void give_at_once(page_id first, size_t n)
{
    send_home((struct page_run){first, n});
    page_heap_decay();
}

static inline void give_recent_to(struct recent_set *set, page_id first, size_t n)
{
    if (unlikely(!keeps_recent())) {
        give_at_once(first, n);
        return;
    }
    if (unlikely(!recent_keep(set, first, n)))
        give_displaced(set, first, n);
    decay_note();
    if (unlikely(recent_count(set) % GIVES_PER_CLOCK == 0))
        page_heap_decay();
}

void page_heap_give_recent(page_id first, size_t n)
{
    give_recent_to(&recent_sets[recent_near(n)], first, n);
}

// Guards cost system calls: they are kept for whichever thread comes next.
void page_heap_give_guarded(page_id first, size_t n)
{
    give_recent_to(&recent_sets[recent_index(n - 2)], first, n | RECENT_GUARDED);
}

struct page_run page_heap_take_guarded_above(size_t n)
{
    struct page_run run = {NO_PAGE, 0};
    for (size_t i = 0, pages = n - 2; i < GUARDED_ABOVE && run.n == 0; i++) {
        pages = recent_guarded_size(pages + 1);
        run = page_heap_take_guarded(pages + 2);
    }
    return run;
}

void page_heap_give_tailed(page_id first, size_t n)
{
    give_recent_to(&recent_sets[recent_index(n - 1)], first, n | RECENT_TAILED);
}

static bool grow_once(page_id first, size_t n, size_t n_wanted, bool *clean)
{
    page_id next = {first.n + (uint32_t)n};
    size_t more = n_wanted - n;
    if (page_in_zone(next) == 0 || page_in_zone(next) + more > ZONE_PAGES)
        return false;
    size_t reserved = unlikely(limit_is_set()) ? more : 0, fresh = 0;
    if (reserved != 0 && !reserve(more))
        return false;
    struct zone *zone = zone_of_page(next);
    struct stripe *self = &heap.stripes[load_relaxed(&zone->stripe)];
    lock_take(&self->lock);
    uint32_t dirty_before = zone->dirty_pages;
    bool grown = zone_take_at(zone, page_in_zone(next), more, clean);
    if (grown) {
        size_t dirty = dirty_before - zone->dirty_pages;
        self->used += more;
        add_dirty(self, 0 - (uint64_t)dirty);
        fresh = more - dirty;
        relist(self, zone);
    }
    stripe_leave(self);
    settle(reserved, fresh);
    if (grown)
        choose_page_sizes(next, more);
    if (grown && *clean && more >= EXCHANGE_LEAST)
        exchange_dirty(more);
    return grown;
}

bool page_heap_grow(page_id first, size_t n, size_t n_wanted, bool *clean)
{
    return grow_once(first, n, n_wanted, clean) || (give_spare() && grow_once(first, n, n_wanted, clean));
}

// --- Moving what lies in a block to another one.

// Whole ranges, so none of them is broken. No lock is held: page_heap_can_move has looked.
static void give_clean_in_zone(page_id first, size_t n)
{
    struct zone *zone = zone_of_page(first);
    bool in_stripe = load_relaxed(&zone->stripe) != NO_STRIPE;
    if (!in_stripe && n == ZONE_PAGES) {
        zone_note_described(zone, 0, n);
        give_whole_zone(zone, false);
        return;
    }
    if (!in_stripe)
        break_whole_zone(zone);
    struct stripe *self = &heap.stripes[load_relaxed(&zone->stripe)];
    lock_take(&self->lock);
    zone_note_described(zone, page_in_zone(first), n);
    stripe_give_locked(self, first, n, false);
    stripe_leave(self);
}

static void give_clean(page_id first, size_t n)
{
    for (size_t done = 0, part; done < n; done += part) {
        page_id page = {first.n + (uint32_t)done};
        part = part_in_zone(page, n - done);
        give_clean_in_zone(page, part);
    }
    limit_discharge(n * PAGE_SIZE);
}

// What lies behind a block is moved with it if it is free, so that the last range is a whole one.
static size_t round_up(page_id from, size_t n, size_t n_to)
{
    bool clean;
    size_t whole = align_up(n, HUGE_PAGES);
    bool grown = huge_begins(from) && n < whole && whole <= n_to && grow_once(from, n, whole, &clean);
    return grown ? whole : n;
}

void page_heap_move(page_id from, size_t n, page_id to, size_t n_to, size_t cleared)
{
    n = round_up(from, n, n_to);
    size_t moved = move_memory(from, to, n);
    if (moved != 0) {
        advise_as_noted(to, moved);
        give_clean(from, moved);
    } else {
        memset(page_address(from), 0, cleared);
    }
    if (moved != n)
        page_heap_give(page_behind(from, moved), n - moved);
}

// --- Giving memory back to the kernel.

// In pages; the kernel's pages may be larger than ours.
static size_t purge_unit(void) { return max_size(1, os_page_size() >> PAGE_SHIFT); }

// What one phase looks at in each zone of a stripe.
#define PHASE_PAGES (ZONE_PAGES / DECAY_PHASES)

_Static_assert(PHASE_PAGES % 64 == 0, "zone_age takes whole words");

// Pages [first, first + n) of a zone, `dirty` of them, and the huge ranges that lose a part.
struct purgeable {
    size_t first, n, dirty;
    uint32_t broken;
};

static bool take_purgeable_locked(struct stripe *self, struct zone *zone, size_t from, size_t end,
                                  enum zone_purge which, struct purgeable *run)
{
    bool clean;
    if (!zone_find_purgeable(zone, from, end, purge_unit(), which, &run->first, &run->n))
        return false;
    run->dirty = zone->dirty_pages;
    zone_take_at(zone, run->first, run->n, &clean);
    run->dirty -= zone->dirty_pages;
    run->broken = zone_break_huge(zone, run->first, run->n);
    self->used += run->n;
    add_dirty(self, 0 - (uint64_t)run->dirty);
    relist(self, zone);
    return true;
}

// What the kernel kept is dirty as a whole. Returns how many pages went back.
static size_t give_purged_locked(struct stripe *self, page_id page, const struct purgeable *run, bool gone)
{
    stripe_give_locked(self, page, run->n, !gone);
    limit_charge(gone ? 0 : (run->n - run->dirty) * PAGE_SIZE);
    limit_discharge(gone ? run->dirty * PAGE_SIZE : 0);
    self->purged += gone ? run->dirty : 0;
    self->purge_calls++;
    return gone ? run->dirty : 0;
}

// What was wholly given back needs no descriptors. They read as zeros from then on, as those of a page that
// never was in use; pages count as used meanwhile, so nobody writes to theirs.
static void forget_descriptors(struct stripe *self, struct zone *zone, size_t from, size_t end)
{
    size_t unit = max_size(DESCRIBED_BYTES, os_page_size());
    size_t all = align_down(sizeof zone->descriptors, unit);
    struct zone_described range = {align_down(from * PAGE_DESCRIPTOR_BYTES, unit),
                                   min_size(align_up(end * PAGE_DESCRIPTOR_BYTES, unit), all)};
    struct zone_described found;
    while (!zone_keeps_descriptors() && is_in_stripe(self, zone) &&
           zone_take_described(zone, range, unit, &found)) {
        size_t first = described_first(found), n = described_pages(found);
        self->used += n;
        relist(self, zone);
        stripe_leave(self);
        zone_forget_described(zone, found);
        lock_take(&self->lock);
        stripe_give_locked(self, (page_id){zone_first_page(zone->id).n + (uint32_t)first}, n, false);
        range.from = found.end;
    }
}

// The pages count as used while the kernel works on them, so the lock is free meanwhile.
static size_t purge_zone(struct stripe *self, struct zone *zone, size_t from, enum zone_purge which)
{
    size_t purged = 0;
    struct purgeable run = {.first = from};
    lock_take(&self->lock);
    while (is_in_stripe(self, zone) &&
           take_purgeable_locked(self, zone, run.first + run.n, from + PHASE_PAGES, which, &run)) {
        stripe_leave(self);
        advise_ranges(zone, run.broken, false);
        page_id page = {zone_first_page(zone->id).n + (uint32_t)run.first};
        bool gone = os_purge(page_address(page), run.n * PAGE_SIZE);
        lock_take(&self->lock);
        purged += give_purged_locked(self, page, &run, gone);
    }
    forget_descriptors(self, zone, from, max_size(from + PHASE_PAGES, run.first + run.n));
    if (is_in_stripe(self, zone))
        zone_age(zone, from, PHASE_PAGES);
    stripe_leave(self);
    return purged;
}

static size_t purge_stripes(uint32_t phase, enum zone_purge which)
{
    size_t purged = 0;
    for (size_t i = 0; i < zone_table_end(); i++) {
        struct zone *zone = zone_at((zone_id){(uint32_t)i});
        uint32_t stripe = zone == NULL ? NO_STRIPE : load_relaxed(&zone->stripe);
        if (stripe != NO_STRIPE && !lock_is_mine(&heap.stripes[stripe].lock))
            purged += purge_zone(&heap.stripes[stripe], zone, phase * PHASE_PAGES, which);
    }
    return purged;
}

// One phase's part of one zone.
static size_t purge_part(uint32_t part)
{
    struct zone *zone = zone_at((zone_id){part / DECAY_PHASES});
    uint32_t stripe = zone == NULL ? NO_STRIPE : load_relaxed(&zone->stripe);
    if (stripe == NO_STRIPE || lock_is_mine(&heap.stripes[stripe].lock))
        return 0;
    return purge_zone(&heap.stripes[stripe], zone, part % DECAY_PHASES * PHASE_PAGES, PURGE_AGED);
}

// A phase's share: each eighth zone among the free ones, an eighth of each of the others.
static size_t purge_phase(uint32_t phase, enum zone_purge which)
{
    uint64_t calls = 0;
    size_t from_zones = zone_table_purge(phase, DECAY_PHASES, !purge_wants_aged(which), &calls);
    fetch_add_relaxed(&heap.purged_zones, from_zones);
    fetch_add_relaxed(&heap.purge_calls, calls);
    return from_zones + purge_stripes(phase, which);
}

static size_t purge(uint32_t first_phase, uint32_t n, enum zone_purge which)
{
    size_t purged = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t phase = (first_phase + i) % DECAY_PHASES;
        if (phase == 0)
            give_recent();
        purged += purge_phase(phase, which);
    }
    return purged;
}

size_t page_heap_purge(void) { return purge(0, DECAY_PHASES, PURGE_ALL) * PAGE_SIZE; }

// Pages free beyond those that are worth keeping while the heap grows.
static uint64_t spare_pages(void)
{
    struct page_heap_counts counts = page_heap_counts();
    uint64_t kept = counts.used_pages / KEPT_SHARE + KEPT_LEAST;
    return counts.dirty_pages > kept ? counts.dirty_pages - kept : 0;
}

void page_heap_contain(void)
{
    uint64_t spare = holds_a_lock() ? 0 : spare_pages(), purged = 0;
    if (spare == 0)
        return;
    for (uint32_t i = 0; i < DECAY_PHASES && purged < spare; i++)
        purged += purge_phase(fetch_add_relaxed(&heap.relieved, 1) % DECAY_PHASES, PURGE_AGED_UNBROKEN);
}

static void relieve_soft(void)
{
    uint64_t now = os_now_ms(), last = load_relaxed(&heap.relief_ms);
    if (now - last >= RELIEF_MS && cas_relaxed(&heap.relief_ms, &last, now))
        page_heap_relieve(limit_release_to(LIMIT_SOFT));
}

void page_heap_decay(void)
{
    if (limit_is_above_soft())
        relieve_soft();
    if (load_relaxed(&options.decay_ms) == 0) {
        page_heap_purge();
        return;
    }
    struct decay_phases due = decay_clock_take(&heap.clock);
    if (due.n != 0)
        purge(due.first, due.n, PURGE_AGED);
}

bool page_heap_is_settled(void) { return page_heap_counts().dirty_pages == 0 && zone_table_is_settled(); }

// --- Counting, checking, and the child of a fork.

struct page_heap_counts page_heap_counts(void)
{
    uint64_t recent = recent_pages();
    struct zone_table_counts zones = zone_table_counts();
    struct page_heap_counts counts = {.opened_pages = zones.opened_zones * ZONE_PAGES,
                                      .used_pages = load_relaxed(&heap.huge_pages),
                                      .dirty_pages = zones.free_dirty_pages,
                                      .pages_purged = load_relaxed(&heap.purged_zones),
                                      .purge_calls = load_relaxed(&heap.purge_calls)};
    for (uint32_t i = 0; i < heap.stripe_count; i++) {
        struct stripe *stripe = &heap.stripes[i];
        lock_take(&stripe->lock);
        drain_locked(stripe); // what the last holder was too early for counts as free
        counts.used_pages += stripe->used;
        counts.dirty_pages += stripe->dirty;
        counts.pages_purged += stripe->purged;
        counts.purge_calls += stripe->purge_calls;
        stripe_leave(stripe);
    }
    recent = min_size(recent, counts.used_pages); // some may have gone meanwhile
    counts.used_pages -= recent;
    counts.dirty_pages += recent;
    uint64_t busy = counts.used_pages + counts.dirty_pages;
    counts.opened_pages =
        counts.opened_pages > busy ? counts.opened_pages : busy; // another thread opened one meanwhile
    counts.clean_pages = counts.opened_pages - busy;
    return counts;
}

static void drain_after_fork(struct stripe *self)
{
    struct intake_node *node;
    while ((node = intake_drain_after_fork(&self->intake)) != NULL) {
        struct returning *block = returning_of(node);
        stripe_give_locked(self, block->first, block->n, true);
    }
    intake_init(&self->intake);
}

static void remake_stripe(struct stripe *self)
{
    self->used = 0;
    store_relaxed(&self->dirty, 0);
    store_relaxed(&self->occupied, 0);
    for (unsigned b = 0; b < BUDDY_ORDERS; b++)
        self->buckets[b] = NULL;
    for (size_t i = 0; i < zone_table_end(); i++) {
        struct zone *zone = zone_at((zone_id){(uint32_t)i});
        if (zone == NULL || !is_in_stripe(self, zone))
            continue;
        zone_repair(zone);
        zone->bucket = UNLISTED;
        stripe_adopt_locked(self, zone);
    }
}

// What every page that may hold memory makes together.
static uint64_t count_resident_bytes(void)
{
    uint64_t pages = 0;
    for (size_t i = 0; i < zone_table_end(); i++) {
        const struct zone *zone = zone_at((zone_id){(uint32_t)i});
        pages += zone == NULL ? 0 : zone->used_pages + zone->dirty_pages;
    }
    return pages * PAGE_SIZE + meta_bytes() - load_relaxed(&limits.rested);
}

// In the child of a fork the forking thread may stand between a step and its charge.
static bool charge_is_exact = true;

void page_heap_after_fork(void)
{
    zone_table_after_fork();
    for (uint32_t i = 0; i < heap.stripe_count; i++) {
        struct stripe *stripe = &heap.stripes[i];
        if (lock_is_mine(&stripe->lock))
            continue; // the forking thread was interrupted in there and will finish
        if (lock_reset_after_fork(&stripe->lock))
            remake_stripe(stripe);
        if (intake_is_drained(&stripe->intake))
            continue; // nothing is written to then: each page written to costs the child a copy
        lock_try(
            &stripe->lock); // it is free; we may hold a lock of higher rank, in a call that we interrupted
        drain_after_fork(stripe);
        lock_drop(&stripe->lock);
    }
    charge_is_exact = false;
    limit_after_fork(count_resident_bytes());
}

static bool stripe_validate(const struct stripe *self)
{
    uint64_t used = 0, dirty = 0;
    for (size_t i = 0; i < zone_table_end(); i++) {
        const struct zone *zone = zone_at((zone_id){(uint32_t)i});
        if (zone == NULL || !is_in_stripe(self, zone))
            continue;
        if (!zone_validate(zone) || zone->bucket != buddy_largest(&zone->buddy))
            return false;
        used += zone->used_pages;
        dirty += zone->dirty_pages;
    }
    return used == self->used && dirty == load_relaxed(&self->dirty);
}

bool page_heap_validate(void)
{
    if (charge_is_exact && count_resident_bytes() != limit_charged())
        return false;
    for (uint32_t i = 0; i < heap.stripe_count; i++)
        if (!stripe_validate(&heap.stripes[i]))
            return false;
    for (size_t i = 0; i < zone_table_end(); i++) {
        struct zone *zone = zone_at((zone_id){(uint32_t)i});
        if (zone != NULL && zone_is_free(zone->id) && (zone->used_pages != 0 || !zone_validate(zone)))
            return false;
    }
    return true;
}
