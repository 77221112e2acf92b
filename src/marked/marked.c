// SPDX-License-Identifier: MIT
#include "marked/marked.h"

#include "buddy/zone_table.h"
#include "core/misuse.h"
#include "core/os.h"
#include "marked/marks.h"
#include <errno.h>
#include <string.h>

#define ZONE 16 // bytes between a block and what is next to it
#define WAITING_BLOCKS 1024
#define WAITING_SIZE ((size_t)64 << 10) // longer blocks do not wait

//   holder             p - ZONE   p
//     │ closed ...         │ mark │ size bytes │ closed ... │       p - holder == gap, a multiple of the
//     alignment
// The holder is a block of the heap. The mark tells whether p is a block at all.
struct mark {
    size_t size;
    uint32_t gap_log2;
    uint32_t state;
};

#define MARK_LIVE 0x6576696cu
#define MARK_FREED 0x65657266u

_Static_assert(sizeof(struct mark) == ZONE, "a mark fills the zone before its block");

// Freed blocks that are not used again yet. Relaxed where nothing is followed from the index.
static atomic_uptr waiting[WAITING_BLOCKS];
static atomic_u32 waiting_next;

static struct mark *mark_at(const void *p) { return (struct mark *)((uintptr_t)p - ZONE); }

static UNMARKED_ACCESS struct mark read_mark(const void *p)
{
    marks_open(mark_at(p), ZONE);
    struct mark mark = *mark_at(p);
    marks_close(mark_at(p), ZONE);
    return mark;
}

static UNMARKED_ACCESS void write_mark(void *p, size_t size, uint32_t gap_log2, uint32_t state)
{
    marks_open(mark_at(p), ZONE);
    mark_at(p)->size = size;
    mark_at(p)->gap_log2 = gap_log2;
    mark_at(p)->state = state;
    marks_close(mark_at(p), ZONE);
}

static void *holder_of(const void *p, struct mark mark)
{
    return (void *)((uintptr_t)p - ((uintptr_t)1 << mark.gap_log2));
}

static bool may_be_block(const void *p)
{
    page_id page = page_of(p);
    return page.n != NO_PAGE.n && (uintptr_t)p % ZONE == 0 && zone_at(page_zone(page)) != NULL;
}

// Ends the process if p is no block.
static struct mark checked_mark(const void *p, const char *call)
{
    struct mark mark = {0};
    if (may_be_block(p))
        mark = read_mark(p);
    if (mark.state == MARK_FREED) {
        marks_end((void *)(uintptr_t)p, mark.size, ZONE); // for memcheck's own report
        misuse_double_free(p, NO_SITES);
    }
    if (mark.state != MARK_LIVE)
        misuse_foreign(call, p);
    return mark;
}

static void *refused(int error)
{
    errno = error;
    return NULL;
}

void *marked_aligned(size_t align, size_t size)
{
    size_t gap = max_size(align, ZONE);
    if (size > PTRDIFF_MAX || gap > PTRDIFF_MAX || size + gap > PTRDIFF_MAX - ZONE)
        return refused(ENOMEM);
    void *holder = gap == ZONE ? alloc_fast(gap + size + ZONE) : alloc_aligned(gap, gap + size + ZONE);
    if (holder == NULL)
        return NULL;
    void *p = (char *)holder + gap;
    marks_close(holder, alloc_usable_size(holder, "malloc"));
    write_mark(p, size, (uint32_t)log2_ceil(gap), MARK_LIVE);
    marks_make(p, size, ZONE);
    return p;
}

void *marked_malloc(size_t size) { return marked_aligned(1, size); }

// The newcomer takes a place; the block that had it is free to be used again. acq_rel: that block's mark is
// the business of whoever gets it out.
static void *exchange_waiting(void *holder)
{
    uint32_t place = fetch_add_relaxed(&waiting_next, 1) % WAITING_BLOCKS;
    return (void *)exchange_acq_rel(&waiting[place], (uintptr_t)holder);
}

void marked_free(void *p)
{
    if (p == NULL)
        return;
    struct mark mark = checked_mark(p, "free");
    void *holder = holder_of(p, mark);
    write_mark(p, mark.size, mark.gap_log2, MARK_FREED);
    marks_end(p, mark.size, ZONE);
    if (mark.size <= WAITING_SIZE)
        holder = exchange_waiting(holder);
    alloc_free_fast(holder);
}

void marked_free_aligned_sized(void *p, size_t align, size_t size)
{
    if (p == NULL)
        return;
    struct mark mark = checked_mark(p, "free");
    if (mark.size != size || !is_power_of_two(align) || (uintptr_t)p % align != 0)
        misuse_size("free", p, size, mark.size, NO_SITES);
    marked_free(p);
}

void marked_free_sized(void *p, size_t size) { marked_free_aligned_sized(p, 1, size); }

size_t marked_usable_size(const void *p, const char *call)
{
    return p == NULL ? 0 : checked_mark(p, call).size;
}

size_t marked_good_size(size_t size) { return alloc_good_size(size) == 0 ? 0 : size; }

void *marked_zeroed(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return refused(ENOMEM);
    void *p = marked_malloc(bytes);
    return p == NULL ? NULL : memset(p, 0, bytes);
}

// Always moves, so that a pointer that was kept is found out.
static void *move(void *p, size_t held, size_t size)
{
    void *moved = marked_malloc(size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, p, min_size(held, size));
    marked_free(p);
    return moved;
}

void *marked_resize(void *p, size_t size)
{
    if (p == NULL)
        return marked_malloc(size);
    size_t held = checked_mark(p, "realloc").size;
    if (size != 0)
        return move(p, held, size);
    marked_free(p);
    return NULL;
}

void *marked_resize_array(void *p, size_t count, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? refused(ENOMEM) : marked_resize(p, bytes);
}

void *marked_aligned_c(size_t align, size_t size)
{
    return is_power_of_two(align) ? marked_aligned(align, size) : refused(EINVAL);
}

void *marked_memalign(size_t align, size_t size)
{
    if (align > (size_t)PTRDIFF_MAX + 1) // there is no power of two to round it up to
        return refused(EINVAL);
    return marked_aligned(align <= 1 ? 1 : (size_t)1 << log2_ceil(align), size);
}

int marked_posix_memalign(void **result, size_t align, size_t size)
{
    int saved = errno;
    if (!is_power_of_two(align) || align < sizeof(void *))
        return EINVAL;
    void *p = marked_aligned(align, size);
    errno = saved;
    if (p == NULL)
        return ENOMEM;
    *result = p;
    return 0;
}

void *marked_valloc(size_t size) { return marked_aligned(os_page_size(), size); }

void *marked_pvalloc(size_t size)
{
    if (size > PTRDIFF_MAX)
        return refused(ENOMEM);
    return marked_valloc(align_up(max_size(size, 1), os_page_size()));
}
