// SPDX-License-Identifier: MIT
#include "core/alloc.h"

#include "buddy/page_heap.h"
#include "buddy/zone_table.h"
#include "core/central.h"
#include "core/init.h"
#include "core/large.h"
#include "core/misuse.h"
#include "core/os.h"
#include <errno.h>
#include <string.h>

// 1 once a block has become smaller without moving because memory was short: from then on a block may hold
// more than its size asks for. Relaxed: it goes with the block.
static atomic_u32 shrunk_in_place;

static void *out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

// What caches and pools hold may be what is missing: everything goes home, and then once more.
static void *take_class(unsigned cls)
{
    void *p = heap_start() ? tcache_refill(cls) : NULL;
    if (unlikely(p == NULL) && heap_has_started()) {
        alloc_collect();
        p = tcache_refill(cls);
    }
    return likely(p != NULL) ? p : out_of_memory();
}

static void *take_large(size_t size, size_t align, bool *clean)
{
    bool possible = size <= PTRDIFF_MAX && align <= PTRDIFF_MAX && heap_start();
    void *p = possible ? large_alloc(size, align, clean) : NULL;
    if (p == NULL && possible && size <= os_memory_bytes()) {
        alloc_collect();
        p = large_alloc(size, align, clean);
    }
    return p != NULL ? p : out_of_memory();
}

void *alloc_small_slow(size_t size) { return take_class(size_class_small[size]); }

void *alloc_medium(size_t size)
{
    bool clean;
    if (unlikely(size > SIZE_CLASS_MAX))
        return take_large(size, 1, &clean);
    unsigned cls = size_class_of(size);
    void *p = bin_pop(&tcache_self->bins[cls]);
    return likely(p != NULL) ? p : take_class(cls);
}

// --- Pointers that come back.

// The large block that p lies in, or NO_PAGE.
static page_id large_around(page_id page)
{
    page_id head = page;
    while (head.n > 0 && page_entry(head) == 0)
        head.n--;
    bool reaches = page_entry(head) == PAGE_LARGE && head.n + (large_size(head) >> PAGE_SHIFT) > page.n;
    return reaches ? head : NO_PAGE;
}

// Ends the process: p is not the start of a block. Where the heap has been but no block is now, one was freed
// before.
static _Noreturn void misused(const char *call, const void *p)
{
    page_id page = heap_has_started() ? page_of(p) : NO_PAGE;
    if (page.n != NO_PAGE.n && zone_at(page_zone(page)) != NULL) {
        page_id head = large_around(page);
        if (head.n != NO_PAGE.n)
            misuse_interior(call, p, page_address(head));
        misuse_double_free(p);
    }
    misuse_foreign(call, p);
}

static bool is_large(page_id page, const void *p)
{
    return page_entry(page) == PAGE_LARGE && page_address(page) == p;
}

static struct span *checked_small(const char *call, const void *p)
{
    struct span *span = span_of_page(page_of(p));
    uintptr_t start = span_start(span);
    if (unlikely(span_slot_of(span, p, start) == SIZE_MAX)) {
        size_t slot = size_class_slot(span->cls, (uintptr_t)p - start);
        misuse_interior(call, p, (void *)(start + slot * span->size));
    }
    return span;
}

void alloc_free_slow(void *p)
{
    if (p == NULL)
        return;
    page_id page = page_of(p);
    uint32_t entry = page_entry(page);
    if (likely(entry_is_small(entry)))
        tcache_overflow(p, entry);
    else if (likely(is_large(page, p)))
        large_free(page);
    else
        misused("free", p);
}

size_t alloc_usable_size(const void *p, const char *call)
{
    if (p == NULL)
        return 0;
    page_id page = page_of(p);
    if (entry_is_small(page_entry(page)))
        return checked_small(call, p)->size;
    if (!is_large(page, p))
        misused(call, p);
    return large_size(page);
}

// What a block of that size and alignment holds.
static size_t size_held(size_t align, size_t size)
{
    unsigned cls = align <= 16 ? 0 : size_class_aligned(size, align);
    if (cls != 0)
        return size_class_size(cls);
    return align <= 16 ? alloc_good_size(size) : align_up(max_size(size, 1), PAGE_SIZE);
}

void alloc_free_aligned_sized(void *p, size_t align, size_t size)
{
    if (p == NULL)
        return;
    size_t holds = alloc_usable_size(p, "free");
    bool fits = size <= holds && load_relaxed(&shrunk_in_place) != 0;
    if (unlikely(!is_power_of_two(align) || (size_held(align, size) != holds && !fits)))
        misuse_size("free", p, size, holds);
    alloc_free_fast(p);
}

void alloc_free_sized(void *p, size_t size) { alloc_free_aligned_sized(p, 1, size); }

// --- calloc and realloc.

void *alloc_zeroed(size_t count, size_t size)
{
    size_t bytes;
    bool clean = false;
    if (unlikely(__builtin_mul_overflow(count, size, &bytes)))
        return out_of_memory();
    void *p = bytes > SIZE_CLASS_MAX ? take_large(bytes, 1, &clean) : alloc_fast(bytes);
    return p == NULL || clean ? p : memset(p, 0, bytes);
}

static void *move(void *p, size_t holds, size_t size)
{
    int saved = errno;
    void *moved = alloc_fast(size);
    if (moved == NULL && size <= holds) { // a block can always become smaller
        store_relaxed(&shrunk_in_place, 1);
        errno = saved;
        return p;
    }
    if (moved == NULL)
        return NULL;
    memcpy(moved, p, min_size(holds, size));
    alloc_free_fast(p);
    return moved;
}

// A block stays where it is when a new one of this size would hold as much, or when it can be resized in
// place.
static bool fits_in_place(void *p, size_t holds, size_t size)
{
    if (size > PTRDIFF_MAX)
        return false;
    if (size <= SIZE_CLASS_MAX)
        return entry_is_small(page_entry(page_of(p))) && size_class_size(size_class_of(size)) == holds;
    return !entry_is_small(page_entry(page_of(p))) && large_resize(page_of(p), size);
}

void *alloc_resize(void *p, size_t size)
{
    if (p == NULL)
        return alloc_fast(size);
    size_t holds = alloc_usable_size(p, "realloc");
    if (size == 0) {
        alloc_free_fast(p);
        return NULL;
    }
    return fits_in_place(p, holds, size) ? p : move(p, holds, size);
}

void *alloc_resize_array(void *p, size_t count, size_t size)
{
    size_t bytes;
    if (unlikely(__builtin_mul_overflow(count, size, &bytes)))
        return out_of_memory();
    return alloc_resize(p, bytes);
}

// --- Alignment.

void *alloc_aligned(size_t align, size_t size)
{
    bool clean;
    if (align <= 16)
        return alloc_fast(size);
    unsigned cls = size_class_aligned(size, align);
    if (cls == 0)
        return take_large(size, align, &clean);
    void *p = bin_pop(&tcache_self->bins[cls]);
    return likely(p != NULL) ? p : take_class(cls);
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

int alloc_posix_memalign(void **result, size_t align, size_t size)
{
    if (!is_power_of_two(align) || align % sizeof(void *) != 0)
        return EINVAL;
    int saved = errno;
    void *p = alloc_aligned(align, size);
    errno = saved;
    if (p == NULL)
        return ENOMEM;
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
    return size > PTRDIFF_MAX ? 0 : align_up(size, PAGE_SIZE);
}

size_t alloc_collect(void)
{
    if (!heap_has_started())
        return 0;
    tcache_flush();
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++)
        central_trim(cls, true);
    return page_heap_purge();
}
