// SPDX-License-Identifier: MIT
#include "core/meta.h"

#include "core/bits.h"
#include "core/harden.h"
#include "core/limit.h"
#include "core/lock.h"
#include "core/os.h"
#include "core/random.h"

#define CHUNK_BYTES ((size_t)256 << 10)

static struct {
    struct lock lock;
    uintptr_t next, end; // guarded by lock
    atomic_u64 bytes;    // relaxed: a statistic
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

static void *bump_locked(size_t size, size_t align)
{
    uintptr_t start = align_up(meta.next, align);
    if (meta.next == 0 || start + size > meta.end) {
        start = (uintptr_t)map_counted(CHUNK_BYTES);
        if (start == 0)
            return NULL;
        meta.end = start + CHUNK_BYTES;
    }
    meta.next = start + size;
    return (void *)start;
}

void *meta_alloc(size_t size, size_t align)
{
    if (size > CHUNK_BYTES / 4)
        return map_counted(align_up(size, os_page_size()));
    lock_take(&meta.lock);
    void *p = bump_locked(size, align);
    lock_drop(&meta.lock);
    return p;
}

// `next` and `end` may belong to different chunks if a thread vanished between them: a new chunk begins.
void meta_after_fork(void)
{
    if (lock_reset_after_fork(&meta.lock))
        meta.next = meta.end = 0;
}
