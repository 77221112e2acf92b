// SPDX-License-Identifier: MIT
#include "core/meta.h"

#include "core/bits.h"
#include "core/harden.h"
#include "core/limit.h"
#include "core/lock.h"
#include "core/os.h"
#include "core/random.h"

#define CHUNK_BYTES ((size_t)256 << 10)

// A mapping; it is described at the start of a chunk.
struct mapping {
    struct mapping *next;
    uintptr_t start;
    size_t size;
};

static struct {
    struct lock lock;
    uintptr_t next, end;                // guarded by lock
    atomic_u64 bytes;                   // relaxed: a statistic
    _Atomic(struct mapping *) mappings; // written under lock; read by anybody, since none ever goes
} meta;

void meta_init(void) { lock_init(&meta.lock, LOCK_META); }

size_t meta_bytes(void) { return load_relaxed(&meta.bytes); }

// With pages before and behind that nothing may touch, as many of them before as chance will have it.
static void *map_guarded(size_t size)
{
    enum { PLACES = 16 };
    size_t page = os_page_size(), before = page * (1 + random_below(PLACES));
    unsigned char *p = os_map(before + size + page);
    if (p == NULL)
        return NULL;
    os_forbid(p, before);
    os_forbid(p + before + size, page);
    return p + before;
}

static void *map_counted(size_t size)
{
    if (!limit_reserve(size))
        return NULL;
    void *p = is_hardened() ? map_guarded(align_up(size, os_page_size())) : os_map(size);
    if (p != NULL)
        fetch_add_relaxed(&meta.bytes, size);
    else
        limit_discharge(size);
    return p;
}

static void note_mapping_locked(struct mapping *self, uintptr_t start, size_t size)
{
    *self = (struct mapping){load_relaxed(&meta.mappings), start, size};
    store_release(&meta.mappings, self); // pairs with meta_next
}

static void *bump_locked(size_t size, size_t align)
{
    uintptr_t start = align_up(meta.next, align);
    if (meta.next == 0 || start + size > meta.end) {
        uintptr_t chunk = (uintptr_t)map_counted(CHUNK_BYTES);
        if (chunk == 0)
            return NULL;
        note_mapping_locked((struct mapping *)chunk, chunk, CHUNK_BYTES);
        meta.end = chunk + CHUNK_BYTES;
        start = align_up(chunk + sizeof(struct mapping), align);
    }
    meta.next = start + size;
    return (void *)start;
}

static void *map_locked(size_t size)
{
    struct mapping *mapping = bump_locked(sizeof *mapping, _Alignof(struct mapping));
    void *p = mapping == NULL ? NULL : map_counted(size);
    if (p != NULL)
        note_mapping_locked(mapping, (uintptr_t)p, size);
    return p;
}

void *meta_alloc(size_t size, size_t align)
{
    lock_take(&meta.lock);
    void *p = size > CHUNK_BYTES / 4 ? map_locked(align_up(size, os_page_size())) : bump_locked(size, align);
    lock_drop(&meta.lock);
    return p;
}

const void *meta_next(const void *at, uintptr_t *start, size_t *size)
{
    const struct mapping *before = at;
    const struct mapping *mapping =
        before == NULL ? load_acquire(&meta.mappings) : before->next; // pairs with note_mapping_locked
    if (mapping == NULL)
        return NULL;
    *start = mapping->start;
    *size = mapping->size;
    return mapping;
}

// `next` and `end` may belong to different chunks if a thread vanished between them: a new chunk begins.
void meta_after_fork(void)
{
    if (lock_reset_after_fork(&meta.lock))
        meta.next = meta.end = 0;
}
