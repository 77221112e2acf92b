// SPDX-License-Identifier: MIT
// The allocation paths: malloc and free from the first instruction to where the layers take over.
// Any thread. errno is kept on success and by every free.
#ifndef TARN_CORE_ALLOC_H
#define TARN_CORE_ALLOC_H

#include "tcache/tcache.h"

// Once, at the start.
void alloc_init(void);
// What follows a fast path that found no object.
void *alloc_small_slow(size_t size);
// `self` is the calling thread's cache.
void *alloc_medium(size_t size, struct tcache *self);
void alloc_free_slow(void *p);

void *alloc_zeroed(size_t count, size_t size);
void *alloc_resize(void *p, size_t size);
void *alloc_resize_array(void *p, size_t count, size_t size);
// `align` is a power of two.
void *alloc_aligned(size_t align, size_t size);
void alloc_free_sized_slow(void *p, size_t size);
void alloc_free_aligned_sized(void *p, size_t align, size_t size);
// `call` names the public function for the message about a pointer that is no block.
size_t alloc_usable_size(const void *p, const char *call);
size_t alloc_good_size(size_t size);
size_t alloc_collect(void);

// The aligned family, with each function's own rules on bad alignments.
void *alloc_aligned_c(size_t align, size_t size);
void *alloc_memalign(size_t align, size_t size);
int alloc_posix_memalign(void **result, size_t align, size_t size);
void *alloc_valloc(size_t size);
void *alloc_pvalloc(size_t size);

static inline __attribute__((always_inline)) void *alloc_fast(size_t size)
{
    struct tcache *self = tcache_self;
    if (unlikely(size > SIZE_CLASS_SMALL_MAX))
        return alloc_medium(size, self);
    void *p = bin_pop(bin_at(self, self->class_field[size]));
    return likely(p != NULL) ? p : alloc_small_slow(size);
}

static inline __attribute__((always_inline)) void alloc_free_fast(void *p)
{
    struct tcache *self = tcache_self;
    uintptr_t page = ((uintptr_t)p - self->base) >> PAGE_SHIFT;
    if (likely(page < self->pages)) {
        uint32_t entry = load_relaxed(&self->entries[page]), field = entry - self->tag;
        if (likely(field <= PAGE_CLASS_MASK)) {
            if (likely(bin_push(bin_at(self, field), p)))
                return;
        } else if (entry_is_small(entry) && likely(bin_push(bin_away(self, entry), p))) {
            return;
        }
    }
    alloc_free_slow(p);
}

// Right class, room in the bin: any other case is looked into by the slow half.
static inline __attribute__((always_inline)) void alloc_free_sized(void *p, size_t size)
{
    struct tcache *self = tcache_self;
    uintptr_t page = ((uintptr_t)p - self->base) >> PAGE_SHIFT;
    if (likely(size <= SIZE_CLASS_SMALL_MAX) && likely(page < self->pages)) {
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

#endif
