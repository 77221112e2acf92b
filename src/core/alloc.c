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
#include "core/os.h"
#include <errno.h>
#include <string.h>

// How much more than its size asks for a block may hold, because realloc left it where it was. It only rises.
// Relaxed: it goes with the block.
enum slack { SLACK_NONE, SLACK_OF_GROWTH, SLACK_ANY };
static atomic_u32 most_slack;

static void note_slack(enum slack slack)
{
    if (load_relaxed(&most_slack) < slack)
        store_relaxed(&most_slack, slack);
}

// page_map's, but none where canaries are wanted: there realloc and malloc_usable_size take their slow
// halves.
static size_t quick_pages;

void alloc_init(void) { quick_pages = has_canaries() ? 0 : page_map.pages; }

// Up to here calloc clears by itself.
#define ZEROED_INLINE 128

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

static NOINLINE void attend_limits(void)
{
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
static inline bool ensure_started(void) { return likely(tcache_self != &tcache_none) || heap_start(); }

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

static void *take_pages(size_t size, size_t align, bool *clean)
{
    return is_hardened() ? hardened_large_alloc(size, align, clean) : large_alloc(size, align, clean);
}

static void *take_large(size_t size, size_t align, bool *clean)
{
    bool possible = size <= PTRDIFF_MAX && align <= PTRDIFF_MAX && heap_start();
    void *p = possible ? take_pages(size, align, clean) : NULL;
    if (p == NULL && possible && size <= min_size(os_memory_bytes(), limit_bound(LIMIT_HARD))) {
        alloc_collect();
        p = take_pages(size, align, clean);
    }
    end_slow_path();
    return p != NULL ? p : out_of_memory();
}

static NOINLINE void *take_with_canary(size_t align, size_t size)
{
    bool clean;
    unsigned cls = hardened_slot_class(align, size);
    if (cls == 0)
        return take_large(size, align, &clean);
    void *p = take_class(cls, size);
    return likely(p != NULL) ? hardened_slot_mark(p, cls, size) : NULL;
}

// From the thread's cache, if it has one and there is something in it.
static inline void *pop_with_canary(size_t align, size_t size)
{
    unsigned cls = hardened_slot_class(align, size);
    void *p = bin_pop_ahead(&tcache_own->bins[cls], size_class_size(cls));
    return likely(p != NULL) ? hardened_slot_mark(p, cls, size) : take_with_canary(align, size);
}

// What is too large for a slot with a canary is a large block.
static NOINLINE void *take_alone(size_t align, size_t size)
{
    void *p = hardened_slot_class(align, size) == 0 ? NULL : lone_alloc(size, align);
    if (p == NULL)
        return pop_with_canary(align, size);
    end_slow_path();
    return p;
}

// `cls` serves where there are no canaries, which only the start of the heap decides.
static NOINLINE void *take_slot(unsigned cls, size_t align, size_t size)
{
    if (!ensure_started() || likely(!has_canaries()))
        return take_class(cls, size);
    return has_lone_blocks() ? take_alone(align, size) : pop_with_canary(align, size);
}

void *alloc_small_slow(size_t size) { return take_slot(size_class_small[size], 1, size); }

static NOINLINE void *alloc_large(size_t size, bool *clean)
{
    *clean = false;
    void *p = likely(size <= PTRDIFF_MAX) ? large_alloc_recent(size) : NULL;
    return likely(p != NULL) ? p : take_large(size, 1, clean);
}

void *alloc_medium(size_t size, struct tcache *self)
{
    bool clean;
    if (unlikely(size > SIZE_CLASS_MAX))
        return alloc_large(size, &clean);
    unsigned cls = size_class_of_medium(size);
    void *p = bin_pop(&self->bins[cls]);
    return likely(p != NULL) ? p : take_slot(cls, 1, size);
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
            misuse_interior(call, p, block_on(head));
        misuse_double_free(p);
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

static NOINLINE void free_hardened_block(page_id page, void *p)
{
    if (is_lone_block(page, p))
        lone_free(page);
    else if (is_hardened_block(page, p))
        hardened_large_free(page);
    else
        misused("free", p);
}

static inline __attribute__((always_inline)) void free_slow(page_id page, void *p, uint32_t entry)
{
    if (likely(entry_is_small(entry)))
        tcache_overflow(p, entry);
    else if (likely(entry == PAGE_LARGE) && likely(page_address(page) == p))
        large_free(page);
    else
        free_hardened_block(page, p);
    look_at_limits();
}

static _Noreturn NOINLINE void misused_free(const void *p) { misused("free", p); }

static NOINLINE void free_hardened_slowly(void *p)
{
    page_id page = page_of(p);
    uint32_t entry = page_entry(page);
    if (entry_is_small(entry))
        hardened_slot_free(tcache_own, p, entry, size_class_size(checked_class("free", p, page, NONE_LONE)));
    else if (page.n != NO_PAGE.n)
        free_slow(page, p, entry);
    else if (p != NULL)
        misused_free(p);
}

// Without background_ensure: every free of a hardened heap comes by, those too that the C library makes while
// it holds the lock that pthread_create wants.
static NOINLINE void free_hardened(void *p)
{
    struct tcache *self = tcache_own;
    uintptr_t page = ((uintptr_t)p - self->base) >> PAGE_SHIFT;
    uint32_t entry = likely(page < self->hardened_pages) ? load_relaxed(&self->entries[page]) : 0;
    unsigned cls = entry_class(entry);
    if (likely(cls != 0)) {
        page_id first = span_first_page((page_id){(uint32_t)page});
        if (likely(span_slot_of(cls, p, (uintptr_t)page_address(first)) != SIZE_MAX)) {
            hardened_slot_free(self, p, entry, size_class_size(cls));
            return;
        }
    }
    free_hardened_slowly(p);
}

void alloc_free_slow(void *p)
{
    uintptr_t n = ((uintptr_t)p - page_map.base) >> PAGE_SHIFT;
    if (unlikely(is_hardened()))
        free_hardened(p);
    else if (likely(n < page_map.pages))
        free_slow((page_id){(uint32_t)n}, p, page_entry_known((page_id){(uint32_t)n}));
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
    uintptr_t page = ((uintptr_t)p - page_map.base) >> PAGE_SHIFT;
    if (unlikely(page >= quick_pages))
        return usable_size_slow(p, call);
    unsigned cls = checked_class(call, p, (page_id){(uint32_t)page}, NONE_LONE);
    return likely(cls != 0) ? size_class_size(cls) : large_size((page_id){(uint32_t)page});
}

// What realloc asks for where a block creeps upwards: blocks that grew once mostly grow on.
static inline size_t with_growth(size_t size) { return size + size / 4; }

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
    enum slack slack = load_relaxed(&most_slack);
    if (has_canaries() && hardened_slot_class(align, size) != 0) // or it came from pvalloc, or was large
        return holds == size || holds == align_up(size, os_page_size()) ||
               (size <= holds && slack == SLACK_ANY);
    size_t wanted = size_held(align, size);
    if (wanted > SIZE_CLASS_MAX && holds >= wanted && holds - wanted <= wanted / 8)
        return true; // it came from page_heap_take_recent
    return wanted == holds || (size <= holds && slack == SLACK_ANY) ||
           (size <= holds && slack == SLACK_OF_GROWTH && alloc_good_size(with_growth(size)) >= holds);
}

void alloc_free_aligned_sized(void *p, size_t align, size_t size)
{
    if (p == NULL)
        return;
    size_t holds = alloc_usable_size(p, "free");
    if (unlikely(!is_power_of_two(align) || !may_hold(holds, align, size)))
        misuse_size("free", p, size, holds);
    alloc_free_fast(p);
}

// Where the heap is hardened every sized free comes here; mostly the class is the size's.
void alloc_free_sized_slow(void *p, size_t size)
{
    if (is_hardened() && !has_canaries() && size <= SIZE_CLASS_MAX &&
        entry_class(page_entry(page_of(p))) == size_class_of(size))
        alloc_free_slow(p);
    else
        alloc_free_aligned_sized(p, 1, size);
}

// --- calloc and realloc.

typedef uint64_t sixteen __attribute__((vector_size(16), may_alias));

// Slots start at multiples of sixteen bytes and are as long, so whole sixteens can be cleared; those from the
// front and those from the back may meet.
static inline __attribute__((always_inline)) void *zero_slot(void *p, size_t bytes)
{
    sixteen *front = p, *back = front + (bytes + 15) / 16;
    front[0] = (sixteen){0};
    if (bytes <= 16)
        return p;
    back[-1] = (sixteen){0};
    if (bytes <= 32)
        return p;
    front[1] = back[-2] = (sixteen){0};
    if (bytes <= 64)
        return p;
    front[2] = front[3] = back[-3] = back[-4] = (sixteen){0};
    return p;
}

static NOINLINE void *zeroed_slow(size_t bytes)
{
    void *p = alloc_small_slow(bytes);
    return likely(p != NULL) ? memset(p, 0, bytes) : NULL;
}

void *alloc_zeroed(size_t count, size_t size)
{
    size_t bytes;
    bool clean = false;
    if (unlikely(__builtin_mul_overflow(count, size, &bytes)))
        return out_of_memory();
    if (bytes <= ZEROED_INLINE) {
        struct tcache *self = tcache_self;
        void *p = bin_pop(bin_at(self, self->class_field[bytes]));
        return likely(p != NULL) ? zero_slot(p, bytes) : zeroed_slow(bytes);
    }
    void *p = bytes > SIZE_CLASS_MAX ? alloc_large(bytes, &clean) : alloc_fast(bytes);
    return p == NULL || clean ? p : memset(p, 0, bytes);
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

static void *resize_large(void *p, page_id page, size_t size)
{
    if (size > SIZE_CLASS_MAX && size <= PTRDIFF_MAX &&
        (is_hardened() ? hardened_large_resize(page, size) : large_resize(page, size)))
        return p;
    return move(p, large_size(page), size);
}

// Each block is as large as was asked for; without memory it can always become smaller.
static NOINLINE void *resize_with_canary(void *p, unsigned cls, size_t size)
{
    int saved = errno;
    size_t holds = hardened_slot_size(p, cls);
    void *moved = hardened_slot_class(1, size) == cls ? NULL : alloc_fast(size);
    if (moved == NULL && size > holds && hardened_slot_class(1, size) != cls)
        return NULL;
    errno = saved;
    if (moved == NULL) {
        hardened_slot_resize(p, cls, size);
        return p;
    }
    return carry_over(moved, p, holds, size);
}

// It has no room, and what is left of its pages belongs to no other: it moves.
static void *resize_lone(void *p, page_id page, size_t size)
{
    size_t holds = lone_size(page);
    void *moved = size <= holds ? take_smaller(size) : alloc_fast(size);
    if (moved == NULL)
        return size <= holds ? p : NULL;
    return carry_over(moved, p, holds, size);
}

static NOINLINE void *resize_or_move(void *p, size_t size)
{
    if (p == NULL)
        return alloc_fast(size);
    page_id page = page_of(p);
    unsigned cls = checked_class("realloc", p, page, ANY_BLOCK);
    if (size == 0) {
        alloc_free_fast(p);
        return NULL;
    }
    if (cls == 0)
        return page_entry(page) == PAGE_LONE ? resize_lone(p, page, size) : resize_large(p, page, size);
    return has_canaries() ? resize_with_canary(p, cls, size) : move(p, size_class_size(cls), size);
}

// A small block stays where it is when one that grew to this size could hold as much. Then p is not looked at
// any closer than free would: what is wrong with it comes out when the block goes home.
void *alloc_resize(void *p, size_t size)
{
    uintptr_t page = ((uintptr_t)p - page_map.base) >> PAGE_SHIFT;
    if (likely(page < quick_pages)) {
        unsigned cls = entry_class(load_relaxed(&page_map.entries[page]));
        const struct size_class_info *info = &size_class_table[cls];
        if (likely(size - 1 < info->size) && likely(with_growth(size) > info[-1].size)) {
            note_slack(SLACK_OF_GROWTH);
            return p;
        }
    }
    return resize_or_move(p, size);
}

void *alloc_resize_array(void *p, size_t count, size_t size)
{
    size_t bytes;
    if (unlikely(__builtin_mul_overflow(count, size, &bytes)))
        return out_of_memory();
    return alloc_resize(p, bytes);
}

// --- Alignment.

static NOINLINE void *aligned_slow(size_t align, size_t size)
{
    bool clean;
    unsigned cls = size_class_aligned(size, align);
    return cls == 0 ? take_large(size, align, &clean) : take_slot(cls, align, size);
}

static inline __attribute__((always_inline)) void *aligned_fast(size_t align, size_t size)
{
    unsigned cls = size_class_aligned(size, align);
    return cls == 0 ? NULL : bin_pop(&tcache_self->bins[cls]);
}

void *alloc_aligned(size_t align, size_t size)
{
    void *p = aligned_fast(align, size);
    return likely(p != NULL) ? p : aligned_slow(align, size);
}

void *alloc_aligned_c(size_t align, size_t size)
{
    if (is_power_of_two(align))
        return alloc_aligned(align, size);
    errno = EINVAL;
    return NULL;
}

void *alloc_memalign(size_t align, size_t size)
{
    if (align > (size_t)PTRDIFF_MAX + 1) { // there is no power of two to round it up to
        errno = EINVAL;
        return NULL;
    }
    return alloc_aligned(align <= 1 ? 1 : (size_t)1 << log2_ceil(align), size);
}

static NOINLINE int posix_slow(void **result, size_t align, size_t size)
{
    int saved = errno;
    void *p = aligned_slow(align, size);
    errno = saved;
    if (p == NULL)
        return ENOMEM;
    *result = p;
    return 0;
}

int alloc_posix_memalign(void **result, size_t align, size_t size)
{
    if (unlikely(!is_power_of_two(align)) || unlikely(align < sizeof(void *)))
        return EINVAL;
    void *p = aligned_fast(align, size);
    if (unlikely(p == NULL))
        return posix_slow(result, align, size);
    *result = p;
    return 0;
}

void *alloc_valloc(size_t size) { return alloc_aligned(os_page_size(), size); }

void *alloc_pvalloc(size_t size)
{
    if (size > PTRDIFF_MAX)
        return out_of_memory();
    return alloc_aligned(os_page_size(), align_up(max_size(size, 1), os_page_size()));
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
