// SPDX-License-Identifier: MIT
// The allocation paths: malloc and free from the first instruction to where the layers take over.
// Any thread. errno is kept on success and by every free.
#ifndef TARN_CORE_ALLOC_H
#define TARN_CORE_ALLOC_H

#include "core/os.h"
#include "tcache/tcache.h"
#include <errno.h>
#include <string.h>

// The public functions consist of what is inline here, whole or down to a call that goes on. So that call can
// say who called them, its `site`; it is asked for only where the heap is hardened, or may be: where the
// thread has no cache for the fast paths.
#define CALLER __builtin_return_address(0)
#define ALLOC_INLINE static inline __attribute__((always_inline))

// Once, at the start.
void alloc_init(void);
// What follows a fast path that found no object.
void *alloc_slow(size_t size, const void *site);
void *alloc_zeroed_slow(size_t bytes, const void *site);
// `align` is a power of two.
void *alloc_aligned_slow(size_t align, size_t size, const void *site);
int alloc_posix_slow(void **result, size_t align, size_t size, const void *site);
// A block in the heap's window, which is not hardened.
void alloc_free_slow(void *p);
void alloc_free_sized_slow(void *p, size_t size);
void *alloc_resize_slow(void *p, size_t size);
// Any pointer, and any heap.
void alloc_free_elsewhere(void *p, const void *site);
void alloc_free_sized_elsewhere(void *p, size_t size, const void *site);
void *alloc_resize_elsewhere(void *p, size_t size, const void *site);

// `call` names the public function for the message about a pointer that is no block.
size_t alloc_usable_size(const void *p, const char *call);
// Ends the process when a block of that alignment cannot have been made for that size.
void alloc_check_size(const void *p, size_t align, size_t size);
size_t alloc_good_size(size_t size);
size_t alloc_collect(void);

// How much more than its size asks for a block may hold, because realloc left it where it was. It only rises.
// Relaxed: it goes with the block.
enum slack { SLACK_NONE, SLACK_OF_GROWTH, SLACK_ANY };
extern atomic_u32 alloc_most_slack __attribute__((visibility("hidden")));

static inline void note_slack(enum slack slack)
{
    if (load_relaxed(&alloc_most_slack) < slack)
        store_relaxed(&alloc_most_slack, slack);
}

// What realloc asks for where a block creeps upwards: blocks that grew once mostly grow on.
static inline size_t with_growth(size_t size) { return size + size / 4; }

// --- malloc and free.

// From the thread's cache; NULL if it has nothing.
ALLOC_INLINE void *alloc_pop(size_t size)
{
    struct tcache *self = tcache_self;
    if (likely(size <= SIZE_CLASS_SMALL_MAX))
        return bin_pop(bin_at(self, self->class_field[size]));
    return unlikely(size > SIZE_CLASS_MAX) ? NULL : bin_pop(&self->bins[size_class_of_medium(size)]);
}

ALLOC_INLINE void *alloc_fast(size_t size)
{
    void *p = alloc_pop(size);
    return likely(p != NULL) ? p : alloc_slow(size, CALLER);
}

ALLOC_INLINE void alloc_free_fast(void *p)
{
    struct tcache *self = tcache_self;
    uintptr_t page = ((uintptr_t)p - self->base) >> PAGE_SHIFT;
    if (unlikely(page >= self->pages)) {
        alloc_free_elsewhere(p, CALLER);
        return;
    }
    uint32_t entry = load_relaxed(&self->entries[page]), field = entry - self->tag;
    if (likely(field <= PAGE_CLASS_MASK)) {
        if (likely(bin_push(bin_at(self, field), p)))
            return;
    } else if (entry_is_small(entry) && likely(bin_push(bin_away(self, entry), p))) {
        return;
    }
    alloc_free_slow(p);
}

// Right class, room in the bin: any other case is looked into by the slow half.
ALLOC_INLINE void alloc_free_sized(void *p, size_t size)
{
    struct tcache *self = tcache_self;
    uintptr_t page = ((uintptr_t)p - self->base) >> PAGE_SHIFT;
    if (unlikely(page >= self->pages)) {
        alloc_free_sized_elsewhere(p, size, CALLER);
        return;
    }
    if (likely(size <= SIZE_CLASS_SMALL_MAX)) {
        uint32_t entry = load_relaxed(&self->entries[page]), field = entry - self->tag;
        if (likely(field == self->class_field[size])) {
            if (likely(bin_push(bin_at(self, field), p)))
                return;
        } else if ((entry & PAGE_CLASS_MASK) == self->class_field[size] && entry_is_small(entry) &&
                   likely(bin_push(bin_away(self, entry), p))) {
            return;
        }
    }
    alloc_free_sized_slow(p, size);
}

ALLOC_INLINE void alloc_free_aligned_sized(void *p, size_t align, size_t size)
{
    if (p == NULL)
        return;
    alloc_check_size(p, align, size);
    alloc_free_fast(p);
}

// --- calloc and realloc.

// Up to here calloc clears by itself.
#define ZEROED_INLINE 128

typedef uint64_t zeroed_chunk __attribute__((vector_size(16), may_alias));

// Slots start at multiples of sixteen bytes and are as long, so whole sixteens can be cleared; those from the
// front and those from the back may meet.
ALLOC_INLINE void *zero_slot(void *p, size_t bytes)
{
    zeroed_chunk *front = p, *back = front + (bytes + 15) / 16;
    front[0] = (zeroed_chunk){0};
    if (bytes <= 16)
        return p;
    back[-1] = (zeroed_chunk){0};
    if (bytes <= 32)
        return p;
    front[1] = back[-2] = (zeroed_chunk){0};
    if (bytes <= 64)
        return p;
    front[2] = front[3] = back[-3] = back[-4] = (zeroed_chunk){0};
    return p;
}

ALLOC_INLINE void *alloc_zeroed(size_t count, size_t size)
{
    size_t bytes;
    if (unlikely(__builtin_mul_overflow(count, size, &bytes)))
        bytes = SIZE_MAX; // which nobody gets
    void *p = alloc_pop(bytes);
    if (unlikely(p == NULL))
        return alloc_zeroed_slow(bytes, CALLER);
    return bytes <= ZEROED_INLINE ? zero_slot(p, bytes) : memset(p, 0, bytes);
}

// A small block stays where it is when one that grew to this size could hold as much. Then p is not looked at
// any closer than free would: what is wrong with it comes out when the block goes home.
ALLOC_INLINE void *alloc_resize(void *p, size_t size)
{
    uintptr_t page = ((uintptr_t)p - sealed.map.base) >> PAGE_SHIFT;
    if (unlikely(page >= sealed.quick_pages))
        return alloc_resize_elsewhere(p, size, CALLER);
    unsigned cls = entry_class(load_relaxed(&sealed.map.entries[page]));
    const struct size_class_info *info = &size_class_table[cls];
    if (likely(size - 1 < info->size) && likely(with_growth(size) > info[-1].size)) {
        note_slack(SLACK_OF_GROWTH);
        return p;
    }
    return alloc_resize_slow(p, size);
}

ALLOC_INLINE void *alloc_resize_array(void *p, size_t count, size_t size)
{
    size_t bytes;
    if (unlikely(__builtin_mul_overflow(count, size, &bytes)))
        bytes = SIZE_MAX; // which nobody gets
    return alloc_resize(p, bytes);
}

// --- The aligned family, with each function's own rules on bad alignments.

ALLOC_INLINE void *alloc_pop_aligned(size_t align, size_t size)
{
    unsigned cls = size_class_aligned(size, align);
    return cls == 0 ? NULL : bin_pop(&tcache_self->bins[cls]);
}

// `align` is a power of two.
ALLOC_INLINE void *alloc_aligned(size_t align, size_t size)
{
    void *p = alloc_pop_aligned(align, size);
    return likely(p != NULL) ? p : alloc_aligned_slow(align, size, CALLER);
}

ALLOC_INLINE void *alloc_aligned_c(size_t align, size_t size)
{
    if (is_power_of_two(align))
        return alloc_aligned(align, size);
    errno = EINVAL;
    return NULL;
}

ALLOC_INLINE void *alloc_memalign(size_t align, size_t size)
{
    if (align > (size_t)PTRDIFF_MAX + 1) { // there is no power of two to round it up to
        errno = EINVAL;
        return NULL;
    }
    return alloc_aligned(align <= 1 ? 1 : (size_t)1 << log2_ceil(align), size);
}

ALLOC_INLINE int alloc_posix_memalign(void **result, size_t align, size_t size)
{
    if (unlikely(!is_power_of_two(align)) || unlikely(align < sizeof(void *)))
        return EINVAL;
    void *p = alloc_pop_aligned(align, size);
    if (unlikely(p == NULL))
        return alloc_posix_slow(result, align, size, CALLER);
    *result = p;
    return 0;
}

ALLOC_INLINE void *alloc_valloc(size_t size) { return alloc_aligned(os_page_size(), size); }

ALLOC_INLINE void *alloc_pvalloc(size_t size)
{
    size_t page = os_page_size();
    return alloc_aligned(page, size > PTRDIFF_MAX ? SIZE_MAX : align_up(max_size(size, 1), page));
}

#endif
