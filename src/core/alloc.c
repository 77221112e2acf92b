// SPDX-License-Identifier: MIT
#include "core/alloc.h"

#include "buddy/page_heap.h"
#include "buddy/zone_table.h"
#include "core/background.h"
#include "core/central.h"
#include "core/harden.h"
#include "core/hardened.h"
#include "core/init.h"
#include "core/large.h"
#include "core/limit.h"
#include "core/lone.h"
#include "core/misuse.h"
#include "core/options.h"
#include "core/os.h"
#include <errno.h>
#include <string.h>

// A search for what can go back looks for as much as the heap has grown by in so many steps.
#define CONTAINED_STEPS 4

atomic_u32 alloc_most_slack;

void alloc_init(void) { sealed.quick_pages = has_canaries() ? 0 : sealed.map.pages; }

static void *out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

// Above the soft limit: first what lies in this thread's cache and in full batches, and with the batches what
// lies in free slots of sparse spans; then free pages, as many as it takes.
static void release(void)
{
    tcache_press();
    tcache_flush();
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++)
        central_trim(cls, true);
    page_heap_relieve(limit_release_to(LIMIT_SOFT));
}

// The heap is larger than it was lately: what has been free in one place goes back, so that it does not grow
// by as much in another. A heap that only goes up and down is not searched.
static void contain(void)
{
    uint64_t before = limit_charged(), wanted = before - CONTAINED_STEPS * limit_growth_step(before);
    if (load_relaxed(&options.decay_ms) >= 0) {
        page_heap_contain();
        if (limit_charged() > wanted)
            central_contain(limit_charged() - wanted);
    }
    limit_end_growth(before);
}

static NOINLINE void attend_limits(void)
{
    if (limit_take_growth())
        contain();
    if (limit_take_release())
        release();
    limit_tell();
}

// At the end of a slow path: the caller holds nothing, and its cache is whole.
static inline void look_at_limits(void)
{
    if (unlikely(load_relaxed(&limits.pending) != 0))
        attend_limits();
}

// The same in an allocation. A free may come from within the C library's thread functions, which hold locks
// that starting a thread needs; so it does not start the background thread.
static inline void end_slow_path(void)
{
    background_ensure();
    look_at_limits();
}

// A cache comes from a started heap.
static inline bool ensure_started(void)
{
    return likely(tcache_self != &tcache_none) || likely(tcache_own != &tcache_none) || heap_start();
}

// What caches and pools hold may be what is missing: everything goes home, and then once more.
static void *take_class(unsigned cls, size_t size)
{
    void *p = ensure_started() ? tcache_refill(cls, size) : NULL;
    if (unlikely(p == NULL) && heap_has_started()) {
        alloc_collect();
        p = tcache_refill(cls, size);
    }
    end_slow_path();
    return likely(p != NULL) ? p : out_of_memory();
}

static void *take_pages(size_t size, size_t align, bool *clean, const void *site)
{
    return is_hardened() ? hardened_large_alloc(size, align, clean, site) : large_alloc(size, align, clean);
}

static NOINLINE void *take_large(size_t size, size_t align, bool *clean, const void *site)
{
    bool possible = size <= PTRDIFF_MAX && align <= PTRDIFF_MAX && heap_start();
    void *p = possible ? take_pages(size, align, clean, site) : NULL;
    if (p == NULL && possible && size <= min_size(os_memory_bytes(), limit_bound(LIMIT_HARD))) {
        alloc_collect();
        p = take_pages(size, align, clean, site);
    }
    end_slow_path();
    return p != NULL ? p : out_of_memory();
}

static NOINLINE void *take_with_canary(size_t align, size_t size, const void *site)
{
    bool clean;
    unsigned cls = hardened_slot_class(align, size);
    if (cls == 0)
        return take_large(size, align, &clean, site);
    void *p = take_class(cls, size);
    return likely(p != NULL) ? hardened_slot_mark(p, size_class_size(cls), size, site) : NULL;
}

// From the thread's cache, if it has one and there is something in it.
static inline void *pop_with_canary(size_t align, size_t size, const void *site)
{
    unsigned cls = hardened_slot_class(align, size);
    size_t slot = size_class_size(cls);
    void *p = bin_pop_ahead(&tcache_own->bins[cls], slot);
    return likely(p != NULL) ? hardened_slot_mark(p, slot, size, site) : take_with_canary(align, size, site);
}

// What is too large for a slot with a canary is a large block.
static NOINLINE void *take_alone(size_t align, size_t size, const void *site)
{
    void *p = hardened_slot_class(align, size) == 0 ? NULL : lone_alloc(size, align, site);
    if (p == NULL)
        return pop_with_canary(align, size, site);
    end_slow_path();
    return p;
}

// Where the fast paths have a cache there are no canaries. This is for where they have none.
static NOINLINE void *take_uncached(size_t align, size_t size, const void *site)
{
    if (!ensure_started() || unlikely(!has_canaries()))
        return take_class(size_class_aligned(size, align), size);
    return has_lone_blocks() ? take_alone(align, size, site) : pop_with_canary(align, size, site);
}

// The same, and first of all where the heap has canaries and started long ago.
static NOINLINE void *take_any(size_t align, size_t size, const void *site)
{
    if (likely(harden_level() == HARDEN_CANARIES))
        return pop_with_canary(align, size, site);
    return take_uncached(align, size, site);
}

// A class field is the class times four, and a quarter of an offset in the table.
static inline size_t slot_of_field(uint32_t field)
{
    _Static_assert(sizeof(struct size_class_info) % (1 << PAGE_CLASS_SHIFT) == 0, "the field scales");
    size_t offset = (size_t)field * (sizeof(struct size_class_info) >> PAGE_CLASS_SHIFT);
    return ((const struct size_class_info *)(const void *)((const char *)size_class_table + offset))->size;
}

// take_any without a look at whether the heap has started, or whether blocks are lone: where either is so, no
// size has a bin with something in it.
static NOINLINE void *take_long_quickly(size_t size, const void *site)
{
    struct tcache *self = tcache_own;
    if (unlikely(size > SIZE_CLASS_SMALL_MAX - CANARY_BYTES))
        return take_any(1, size, site);
    uint32_t field = self->class_field[size + CANARY_BYTES];
    size_t slot = slot_of_field(field);
    void *p = bin_pop_ahead(bin_at(self, field), slot);
    if (unlikely(p == NULL))
        return take_uncached(1, size, site);
    if (slot <= SLOT_SHORT)
        __builtin_unreachable(); // so that what is for short ones is left out
    return hardened_slot_mark(p, slot, size, site);
}

// The same. Small sizes have a way of their own, which needs no table to come to the slot's size; so a branch
// that was foretold badly is found out early.
static NOINLINE void *take_quickly(size_t size, const void *site)
{
    struct tcache *self = tcache_own;
    if (size > SLOT_SHORT - CANARY_BYTES)
        return take_long_quickly(size, site);
    size_t slot = align_up(size + CANARY_BYTES, sizeof(slot_chunk));
    void *p = bin_pop_ahead(bin_at(self, self->class_field[size + CANARY_BYTES]), slot);
    return likely(p != NULL) ? hardened_slot_mark(p, slot, size, site) : take_uncached(1, size, site);
}

// Where no site is kept; so there is none to keep in a register meanwhile.
static inline void *take_recent_or_large(size_t size, bool *clean)
{
    void *p = likely(size <= PTRDIFF_MAX) ? large_alloc_recent(size) : NULL;
    return likely(p != NULL) ? p : take_large(size, 1, clean, NULL);
}

static NOINLINE void *take_large_quickly(size_t size) { return take_recent_or_large(size, NULL); }

static NOINLINE void *take_large_hardened(size_t size, bool *clean, const void *site)
{
    void *p = likely(size <= PTRDIFF_MAX) ? hardened_large_recent(size, site) : NULL;
    return likely(p != NULL) ? p : take_large(size, 1, clean, site);
}

void *alloc_slow(size_t size, const void *site)
{
    if (unlikely(size > SIZE_CLASS_MAX))
        return is_hardened() ? take_large_hardened(size, NULL, site) : take_large_quickly(size);
    if (unlikely(tcache_self == &tcache_none))
        return take_quickly(size, site);
    return take_class(size_class_of(size), size);
}

// --- Pointers that come back.

// The large or lone block that a page is part of, or NO_PAGE.
static page_id large_around(page_id page)
{
    page_id head = page;
    while (head.n > 0 && page_entry(head) == 0)
        head.n--;
    uint32_t entry = page_entry(head);
    bool large = entry == PAGE_LARGE || entry == PAGE_HARDENED || entry == PAGE_LONE;
    bool reaches = large && head.n + (large_size(head) >> PAGE_SHIFT) > page.n;
    return reaches ? head : NO_PAGE;
}

static void *block_on(page_id head)
{
    return page_entry(head) == PAGE_LONE ? lone_address(head) : page_address(head);
}

// Ends the process: p is not the start of a block. Where the heap has been but no block is now, one was freed
// before.
static _Noreturn void misused(const char *call, const void *p)
{
    page_id page = heap_has_started() ? page_of(p) : NO_PAGE;
    if (page.n != NO_PAGE.n && zone_at(page_zone(page)) != NULL) {
        page_id head = large_around(page);
        if (head.n != NO_PAGE.n && p < block_on(head)) // on its first page all the same
            misuse_foreign(call, p);
        if (head.n != NO_PAGE.n)
            misuse_interior(call, p, block_on(head), hardened_large_sites(head));
        misuse_double_free(p, hardened_large_sites(page));
    }
    misuse_foreign(call, p);
}

static bool is_large(page_id page, const void *p)
{
    return page_entry(page) == PAGE_LARGE && page_address(page) == p;
}

static bool is_hardened_block(page_id page, const void *p)
{
    return page_entry(page) == PAGE_HARDENED && page_address(page) == p;
}

static bool is_lone_block(page_id page, const void *p)
{
    return page_entry(page) == PAGE_LONE && lone_address(page) == p;
}

// Which blocks there may be: where there are no canaries none is lone, and to look for one costs registers.
enum among { NONE_LONE, ANY_BLOCK };

// The class of a block, 0 if it is large or lone. Ends the process if p is no block.
static inline __attribute__((always_inline)) unsigned checked_class(const char *call, const void *p,
                                                                    page_id page, enum among among)
{
    unsigned cls = unlikely(page.n == NO_PAGE.n) ? 0 : entry_class(page_entry_known(page));
    if (unlikely(cls == 0)) {
        if (!is_large(page, p) && !is_hardened_block(page, p) &&
            !(among == ANY_BLOCK && is_lone_block(page, p)))
            misused(call, p);
    } else if (unlikely(span_slot_of(cls, p, (uintptr_t)page_address(span_first_page(page))) == SIZE_MAX)) {
        span_reject(call, p, page, cls);
    }
    return cls;
}

static NOINLINE void free_hardened_block(page_id page, void *p, const void *site)
{
    if (is_lone_block(page, p))
        lone_free(page, site);
    else if (is_hardened_block(page, p))
        hardened_large_free(page, site);
    else
        misused("free", p);
}

static inline __attribute__((always_inline)) void free_slow(page_id page, void *p, uint32_t entry,
                                                            const void *site)
{
    if (likely(entry_is_small(entry)))
        tcache_overflow(p, entry);
    else if (likely(entry == PAGE_LARGE) && likely(page_address(page) == p))
        large_free(page);
    else
        free_hardened_block(page, p, site);
    look_at_limits();
}

static _Noreturn NOINLINE void misused_free(const void *p) { misused("free", p); }

static NOINLINE void free_hardened_slowly(void *p, const void *site)
{
    page_id page = page_of(p);
    uint32_t entry = page_entry(page);
    if (entry == PAGE_HARDENED && page_address(page) == p) {
        hardened_large_free(page, site);
        look_at_limits();
        return;
    }
    if (entry_is_small(entry))
        hardened_slot_free(p, site, tcache_own, size_class_size(checked_class("free", p, page, NONE_LONE)),
                           entry);
    else if (page.n != NO_PAGE.n)
        free_slow(page, p, entry, site);
    else if (p != NULL)
        misused_free(p);
}

// Whether a slot that starts there would lie on one page, and where a slot may. Its canary tells then whether
// it is one, which is quicker than to look for the span's start.
static inline bool is_on_one_page(const void *p, size_t slot)
{
    uintptr_t offset = (uintptr_t)p % PAGE_SIZE;
    return offset + slot <= PAGE_SIZE && offset % 16 == 0;
}

// No branch on how many pages a span has: sizes come in no order.
static inline bool is_slot(unsigned cls, const void *p, uintptr_t page)
{
    size_t before = (size_t)*page_head_distance((page_id){(uint32_t)page}) * PAGE_SIZE;
    return span_slot_of(cls, (void *)(before + (uintptr_t)p % PAGE_SIZE), 0) != SIZE_MAX;
}

// The same for a slot of at most SLOT_SHORT bytes: its span is one page.
static inline bool is_short_slot(unsigned cls, const void *p)
{
    size_t offset = (uintptr_t)p % PAGE_SIZE, size = cls * sizeof(slot_chunk);
    return size_class_slot(cls, offset) * size == offset && offset + size <= PAGE_SIZE;
}

static inline uint32_t hardened_entry(const struct tcache *self, uintptr_t page)
{
    return likely(page < self->hardened_pages) ? load_relaxed(&self->entries[page]) : 0;
}

static NOINLINE void free_long_zeroed(void *p, struct tcache *self, uint32_t entry, uintptr_t page)
{
    unsigned cls = entry_class(entry);
    if (likely(cls != 0) && likely(is_slot(cls, p, page)))
        hardened_zeroed_free_long(p, self, entry);
    else
        free_hardened_slowly(p, NULL);
}

// Without background_ensure: every free of a hardened heap comes by one of these, those too that the C
// library makes while it holds the lock that pthread_create wants. What is rare is a call at the end, so that
// they save no registers.
static NOINLINE void free_zeroed(void *p)
{
    struct tcache *self = tcache_self;
    uintptr_t page = ((uintptr_t)p - self->base) >> PAGE_SHIFT;
    uint32_t entry = hardened_entry(self, page);
    unsigned cls = entry_class(entry);
    if (cls - 1 >= SLOT_SHORT_CHUNKS)
        free_long_zeroed(p, self, entry, page);
    else if (likely(is_short_slot(cls, p)))
        hardened_zeroed_free_short(p, self, entry);
    else
        free_hardened_slowly(p, NULL);
}

static NOINLINE void free_long_with_canary(void *p, const void *site, uint32_t field)
{
    struct tcache *self = tcache_own;
    size_t slot = slot_of_field(field);
    if (unlikely(slot == 0) || unlikely(!is_on_one_page(p, slot))) {
        free_hardened_slowly(p, site);
        return;
    }
    if (slot <= SLOT_SHORT)
        __builtin_unreachable();
    hardened_canary_free(p, site, slot, self);
}

// As in take_quickly.
static NOINLINE void free_with_canary(void *p, const void *site)
{
    struct tcache *self = tcache_own;
    uint32_t entry = hardened_entry(self, ((uintptr_t)p - self->base) >> PAGE_SHIFT);
    unsigned cls = entry_class(entry);
    size_t slot = cls * sizeof(slot_chunk);
    if (cls - 1 >= SLOT_SHORT_CHUNKS)
        free_long_with_canary(p, site, entry & PAGE_CLASS_MASK);
    else if (likely(is_on_one_page(p, slot)))
        hardened_canary_free(p, site, slot, self);
    else
        free_hardened_slowly(p, site);
}

void alloc_free_slow(void *p)
{
    page_id page = {(uint32_t)(((uintptr_t)p - sealed.map.base) >> PAGE_SHIFT)};
    free_slow(page, p, page_entry_known(page), NULL);
}

void alloc_free_elsewhere(void *p, const void *site)
{
    enum harden_level level = harden_level();
    if (unlikely(level != HARDEN_OFF)) {
        if (level == HARDEN_PLACES)
            free_zeroed(p);
        else
            free_with_canary(p, site);
        return;
    }
    uintptr_t n = ((uintptr_t)p - sealed.map.base) >> PAGE_SHIFT;
    if (likely(n < sealed.map.pages))
        free_slow((page_id){(uint32_t)n}, p, page_entry_known((page_id){(uint32_t)n}), NULL);
    else if (p != NULL)
        misused_free(p);
}

static NOINLINE size_t usable_size_slow(const void *p, const char *call)
{
    page_id page = page_of(p);
    unsigned cls = p == NULL ? 0 : checked_class(call, p, page, ANY_BLOCK);
    if (cls != 0)
        return hardened_slot_size(p, cls);
    if (p == NULL)
        return 0;
    return page_entry(page) == PAGE_LONE ? lone_size(page) : large_size(page);
}

size_t alloc_usable_size(const void *p, const char *call)
{
    uintptr_t page = ((uintptr_t)p - sealed.map.base) >> PAGE_SHIFT;
    if (unlikely(page >= sealed.quick_pages))
        return usable_size_slow(p, call);
    unsigned cls = checked_class(call, p, (page_id){(uint32_t)page}, NONE_LONE);
    return likely(cls != 0) ? size_class_size(cls) : large_size((page_id){(uint32_t)page});
}

// What a block of that size and alignment holds.
static size_t size_held(size_t align, size_t size)
{
    unsigned cls = align <= 16 ? 0 : size_class_aligned(size, align);
    if (cls != 0)
        return size_class_size(cls);
    return align <= 16 ? alloc_good_size(size) : align_up(max_size(size, 1), PAGE_SIZE);
}

static bool may_hold(size_t holds, size_t align, size_t size)
{
    enum slack slack = load_relaxed(&alloc_most_slack);
    if (has_canaries() && hardened_slot_class(align, size) != 0) // or it came from pvalloc, or was large
        return holds == size || holds == align_up(size, os_page_size()) ||
               (size <= holds && slack == SLACK_ANY);
    size_t wanted = size_held(align, size);
    if (wanted > SIZE_CLASS_MAX && holds >= wanted && holds - wanted <= wanted / 8)
        return true; // it came from page_heap_take_recent
    return wanted == holds || (size <= holds && slack == SLACK_ANY) ||
           (size <= holds && slack == SLACK_OF_GROWTH && alloc_good_size(with_growth(size)) >= holds);
}

static struct sites sites_of(const void *p)
{
    page_id page = page_of(p);
    unsigned cls = entry_class(page_entry(page));
    return cls != 0 ? canary_sites(p, size_class_size(cls)) : hardened_large_sites(page);
}

void alloc_check_size(const void *p, size_t align, size_t size)
{
    size_t holds = alloc_usable_size(p, "free");
    if (unlikely(!is_power_of_two(align) || !may_hold(holds, align, size)))
        misuse_size("free", p, size, holds, sites_of(p));
}

// Whether blocks on a page with that entry are of the size's class; whether there is one is found out by what
// follows.
static inline bool has_class_of(const struct tcache *self, uint32_t entry, size_t size)
{
    return size <= SIZE_CLASS_SMALL_MAX && entry_is_small(entry) &&
           (entry & PAGE_CLASS_MASK) == self->class_field[size];
}

// The caller has seen that p lies in the window. Mostly the size is right, and the bin was full.
void alloc_free_sized_slow(void *p, size_t size)
{
    if (!has_class_of(tcache_self, page_entry_known(page_of(p)), size))
        alloc_check_size(p, 1, size);
    alloc_free_fast(p);
}

// Whether p, as far as a look at its page and its word tells, is a small block of just that size; what
// follows finds out whether it is a block.
static inline bool fits_exactly(const void *p, size_t size)
{
    struct tcache *self = tcache_own;
    uint32_t field = hardened_entry(self, ((uintptr_t)p - self->base) >> PAGE_SHIFT) & PAGE_CLASS_MASK;
    if (size > SIZE_CLASS_SMALL_MAX - CANARY_BYTES || field == 0)
        return false;
    if (!has_canaries())
        return has_class_of(self, field, size);
    size_t slot = slot_of_field(field);
    return is_on_one_page(p, slot) && canary_size(load_relaxed(canary_place(p, slot))) == size;
}

// Mostly the heap is hardened, and the size is the block's.
void alloc_free_sized_elsewhere(void *p, size_t size, const void *site)
{
    if (p == NULL)
        return;
    if (!fits_exactly(p, size))
        alloc_check_size(p, 1, size);
    alloc_free_elsewhere(p, site);
}

// --- calloc and realloc.

static void *take_large_zeroed(size_t size, const void *site)
{
    bool clean = false, recent = size <= PTRDIFF_MAX;
    void *p = !recent ? NULL : is_hardened() ? hardened_large_recent(size, site) : large_alloc_recent(size);
    if (p == NULL)
        p = take_large(size, 1, &clean, site);
    if (p != NULL && !clean)
        large_zero(p, size);
    return p;
}

void *alloc_zeroed_slow(size_t bytes, const void *site)
{
    if (bytes > SIZE_CLASS_MAX)
        return take_large_zeroed(bytes, site);
    void *p = alloc_slow(bytes, site);
    return likely(p != NULL) ? memset(p, 0, bytes) : NULL;
}

// A block that creeps upwards gets room for some steps more; one that leaps, as containers do that double,
// gets what it asked for.
static void *take_larger(size_t holds, size_t size)
{
    size_t wanted = with_growth(holds);
    if (size >= wanted || wanted > SIZE_CLASS_MAX)
        return alloc_fast(size);
    note_slack(SLACK_OF_GROWTH);
    return alloc_fast(wanted);
}

// NULL leaves the block as large as it is: it can always become smaller.
static void *take_smaller(size_t size)
{
    int saved = errno;
    void *smaller = alloc_fast(size);
    if (smaller == NULL)
        note_slack(SLACK_ANY);
    errno = saved;
    return smaller;
}

static inline void *carry_over(void *moved, void *p, size_t holds, size_t size)
{
    memcpy(moved, p, min_size(holds, size));
    alloc_free_fast(p);
    return moved;
}

static inline __attribute__((always_inline)) void *move(void *p, size_t holds, size_t size)
{
    void *moved = size <= holds ? take_smaller(size) : take_larger(holds, size);
    if (unlikely(moved == NULL))
        return size <= holds ? p : NULL;
    return carry_over(moved, p, holds, size);
}

// A fresh large block does not get memory that lies free: what lies in this one moves there.
static void *take_large_place(size_t size, const void *site)
{
    bool clean;
    return is_hardened() ? take_large_hardened(size, &clean, site) : take_recent_or_large(size, &clean);
}

static void *take_larger_place(size_t holds, size_t size)
{
    return size <= SIZE_CLASS_MAX ? take_larger(holds, size) : take_large_place(size, NULL);
}

static bool has_moved(page_id from, page_id to, const void *site)
{
    return is_hardened() ? hardened_large_move(from, to, site) : large_move(from, to);
}

static void *move_large(void *p, page_id page, size_t size)
{
    size_t holds = large_size(page);
    void *moved = size <= holds ? take_smaller(size) : take_larger_place(holds, size);
    if (moved == NULL)
        return size <= holds ? p : NULL;
    bool carried = size > holds && has_moved(page, page_of(moved), NULL);
    return carried ? moved : carry_over(moved, p, holds, size);
}

static void *resize_large(void *p, page_id page, size_t size)
{
    if (size > SIZE_CLASS_MAX && size <= PTRDIFF_MAX &&
        (is_hardened() ? hardened_large_resize(page, size) : large_resize(page, size)))
        return p;
    return move_large(p, page, size);
}

void *alloc_resize_slow(void *p, size_t size)
{
    page_id page = page_of(p);
    unsigned cls = checked_class("realloc", p, page, NONE_LONE);
    if (size == 0) {
        alloc_free_fast(p);
        return NULL;
    }
    return cls == 0 ? resize_large(p, page, size) : move(p, size_class_size(cls), size);
}

static void *carry_over_from(void *moved, void *p, size_t holds, size_t size, const void *site)
{
    memcpy(moved, p, min_size(holds, size));
    alloc_free_elsewhere(p, site);
    return moved;
}

// For `size` bytes, in a slot that could hold `room`.
static void *take_with_room(size_t size, size_t room, const void *site)
{
    unsigned cls = has_lone_blocks() ? 0 : hardened_slot_class(1, room);
    if (cls == 0)
        return alloc_slow(size, site);
    size_t slot = size_class_size(cls);
    void *p = bin_pop(&tcache_own->bins[cls]);
    if (unlikely(p == NULL))
        p = take_class(cls, size);
    return likely(p != NULL) ? hardened_slot_mark(p, slot, size, site) : NULL;
}

// As alloc_resize has it.
static bool suits_slot(size_t size, unsigned cls)
{
    const struct size_class_info *info = &size_class_table[cls];
    return size <= info->size - CANARY_BYTES && with_growth(size) + CANARY_BYTES > info[-1].size;
}

// Each block is as large as was asked for, also where one that creeps upwards has a slot with room for some
// steps more; without memory it can always become smaller.
static void *resize_with_canary(void *p, unsigned cls, size_t size, const void *site)
{
    int saved = errno;
    size_t holds = hardened_slot_size(p, cls);
    bool creeps = size > holds && size < with_growth(holds);
    void *moved = NULL;
    if (!suits_slot(size, cls))
        moved = take_with_room(size, creeps ? with_growth(holds) : size, site);
    if (moved == NULL && size > size_class_size(cls) - CANARY_BYTES)
        return NULL;
    errno = saved;
    if (moved == NULL) {
        hardened_slot_resize(p, cls, size, site);
        return p;
    }
    return carry_over_from(moved, p, holds, size, site);
}

// A lone block has no room, and what is left of its pages belongs to no other.
static void *resize_hardened_large(void *p, page_id page, size_t size, const void *site)
{
    int saved = errno;
    bool lone = page_entry(page) == PAGE_LONE;
    size_t holds = lone ? lone_size(page) : large_size(page);
    if (!lone && size > SIZE_CLASS_MAX && size <= PTRDIFF_MAX && hardened_large_resize(page, size)) {
        hardened_note_allocated(page, site);
        return p;
    }
    bool grows = !lone && size > max_size(holds, SIZE_CLASS_MAX);
    void *moved = grows ? take_large_place(size, site) : alloc_slow(size, site);
    if (moved != NULL && grows && has_moved(page, page_of(moved), site))
        return moved;
    if (moved != NULL)
        return carry_over_from(moved, p, holds, size, site);
    if (size > holds)
        return NULL;
    note_slack(SLACK_ANY);
    errno = saved;
    return p;
}

void *alloc_resize_elsewhere(void *p, size_t size, const void *site)
{
    if (p == NULL) {
        void *fresh = alloc_pop(size);
        return fresh != NULL ? fresh : alloc_slow(size, site);
    }
    if (!has_canaries())
        return alloc_resize_slow(p, size); // no block; it says so
    page_id page = page_of(p);
    unsigned cls = checked_class("realloc", p, page, ANY_BLOCK);
    if (size == 0) {
        alloc_free_elsewhere(p, site);
        return NULL;
    }
    return cls == 0 ? resize_hardened_large(p, page, size, site) : resize_with_canary(p, cls, size, site);
}

// --- Alignment.

void *alloc_aligned_slow(size_t align, size_t size, const void *site)
{
    bool clean;
    unsigned cls = size_class_aligned(size, align);
    if (cls == 0)
        return take_large(size, align, &clean, site);
    return likely(tcache_self != &tcache_none) ? take_class(cls, size) : take_any(align, size, site);
}

int alloc_posix_slow(void **result, size_t align, size_t size, const void *site)
{
    int saved = errno;
    void *p = alloc_aligned_slow(align, size, site);
    errno = saved;
    if (p == NULL)
        return ENOMEM;
    *result = p;
    return 0;
}

// --- The rest.

size_t alloc_good_size(size_t size)
{
    if (size <= SIZE_CLASS_MAX)
        return size_class_size(size_class_of(size));
    return size > PTRDIFF_MAX - PAGE_SIZE ? 0 : align_up(size, PAGE_SIZE);
}

size_t alloc_collect(void)
{
    if (!heap_has_started())
        return 0;
    tcache_press();
    tcache_flush();
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++)
        central_trim(cls, true);
    return page_heap_purge();
}
