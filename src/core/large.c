// SPDX-License-Identifier: MIT
#include "core/large.h"

#include "buddy/huge.h"
#include "buddy/page_heap.h"
#include "core/bits.h"
#include "core/os.h"
#include "core/page_map.h"
#include "core/span.h"
#include <string.h>

#define LEARN_PARTS 4
#define ZEROED_PAGES 256 // of the kernel's are looked at together
#define ZEROED_LEAST ((size_t)128 << 10)
#define SPARED_LEAST 32 // fewer pages without memory are filled
#define ZEROED_RUNS 8   // for more of them so many calls to the kernel do not pay
#define ANEW_PARTS 8    // one page in so many may be fetched anew: a fault costs as much as to fill many
#define MOVED_LEAST (HUGE_PAGES / 2) // pages; what is smaller does not fill a range

// A few places tell whether the program has filled a block that held nothing; its ends alone do not, since
// many write a header and a trailer.
static bool is_filled(struct page_run block)
{
    bool filled = true;
    for (size_t part = LEARN_PARTS; part > 0 && filled; part--) {
        page_id page = {block.first.n + (uint32_t)(block.n * part / LEARN_PARTS) - 1};
        filled = os_resident_pages(page_address(page), 1) != 0;
    }
    return filled;
}

// The last fresh block of each thread, or of a few that share a place, as a recent_word, or 0. Relaxed:
// hints; a block may be gone when it is looked at.
#define WATCHED 16
static atomic_u64 watched[WATCHED];

// Threads' stacks are neighbours, mostly of a little more than a power of two bytes.
static atomic_u64 *watched_here(void) { return &watched[(os_thread_pointer() >> 12) % WATCHED]; }

// The thread comes for another one: it may have filled the one before. If it has not, that one's end will
// tell.
static NOINLINE void watch(page_id first, size_t pages)
{
    struct page_run before = recent_run(exchange_relaxed(watched_here(), recent_word(first, pages)));
    if (before.n != 0 && is_filled(before))
        huge_learn(true);
}

static NOINLINE void learn(struct span *span, page_id first, size_t pages)
{
    span->fresh = false;
    if (!huge_may_learn(pages))
        return;
    for (size_t i = 0; i < WATCHED; i++) {
        uint64_t mine = recent_word(first, pages);
        cas_relaxed(&watched[i], &mine, 0);
    }
    huge_learn(is_filled((struct page_run){first, pages}));
}

void large_watch(page_id first, size_t pages)
{
    if (huge_may_learn(pages))
        watch(first, pages);
}

void large_learn(page_id first, size_t pages)
{
    struct span *span = span_at(first);
    if (span->fresh)
        learn(span, first, pages);
}

// The descriptor is as large_free left it: the block's own, with as many pages.
void *large_alloc_recent(size_t size)
{
    struct page_run block = page_heap_take_recent(pages_for(size));
    if (unlikely(block.n == 0))
        return NULL;
    page_map_set(block.first, 1, PAGE_LARGE);
    return page_address(block.first);
}

void *large_alloc(size_t size, size_t align, bool *clean)
{
    size_t pages = max_size(1, pages_for(size));
    size_t page_align = max_size(align, PAGE_SIZE);
    struct page_block block =
        clean == NULL ? page_heap_take_filled(pages, page_align) : page_heap_take(pages, page_align);
    if (clean != NULL)
        *clean = block.clean;
    if (block.first.n == NO_PAGE.n)
        return NULL;
    span_make_large(block.first, pages, block.clean);
    if (block.clean && huge_may_learn(pages))
        watch(block.first, pages);
    return page_address(block.first);
}

// --- Zeros. Many a program that asks for them writes to a few places of what it gets. What nobody has
// written to stays without memory then: filling it would cost more, and hold memory for nothing. Places that
// differ from one use of the block to the next add up, until it begins anew.

struct presence {
    size_t count, runs;
    unsigned char pages[ZEROED_PAGES]; // bit 0: that page is resident
};

// Neighbouring pages of which all are resident, or none.
static size_t run_at(const struct presence *self, size_t from, size_t n)
{
    size_t end = from + 1;
    while (end < n && ((self->pages[end] ^ self->pages[from]) & 1) == 0)
        end++;
    return end - from;
}

static bool look(struct presence *self, char *start, size_t n)
{
    if (!os_presence(start, n * os_page_size(), self->pages))
        return false;
    self->count = self->runs = 0;
    for (size_t at = 0, run; at < n; at += run, self->runs++) {
        run = run_at(self, at, n);
        self->count += (self->pages[at] & 1) != 0 ? run : 0;
    }
    return true;
}

// What is not resident may lie in the swap space.
static void zero_run(char *start, size_t size, bool resident)
{
    if (resident || !os_purge(start, size))
        memset(start, 0, size);
}

static void zero_runs(const struct presence *self, char *start, size_t n)
{
    size_t page = os_page_size();
    for (size_t at = 0, run; at < n; at += run) {
        run = run_at(self, at, n);
        zero_run(start + at * page, run * page, (self->pages[at] & 1) != 0);
    }
}

// True if all is resident then.
static bool zero_pages(char *start, size_t n)
{
    struct presence presence;
    if (!look(&presence, start, n)) {
        memset(start, 0, n * os_page_size());
        return true;
    }
    if (presence.runs <= ZEROED_RUNS && n - presence.count >= SPARED_LEAST) {
        zero_runs(&presence, start, n);
        return false;
    }
    bool anew = presence.count * ANEW_PARTS <= n;
    zero_run(start, n * os_page_size(), !anew);
    return !anew;
}

static bool zero_piecewise(char *start, size_t n)
{
    bool filled = true;
    for (size_t at = 0; at < n; at += ZEROED_PAGES)
        filled &= zero_pages(start + at * os_page_size(), min_size(n - at, ZEROED_PAGES));
    return filled;
}

void large_zero(void *block, size_t size)
{
    struct span *span = span_at(page_of(block));
    // Where the kernel's pages are larger than the heap's a block may begin within one.
    bool looks = size >= ZEROED_LEAST && !span->filled && os_page_size() <= PAGE_SIZE;
    size_t pages = looks ? size / os_page_size() : 0, whole = pages * os_page_size();
    if (pages != 0)
        span->filled = zero_piecewise(block, pages);
    memset((char *)block + whole, 0, size - whole);
}

void large_free(page_id first)
{
    struct span *span = span_at(first);
    size_t pages = load_relaxed(&span->pages);
    if (unlikely(span->fresh))
        learn(span, first, pages);
    page_map_set(first, 1, 0);
    page_heap_give_recent(first, pages);
}

// To copy costs less there than the faults that come when the memory has gone.
static bool holds_memory(page_id first, size_t pages)
{
    size_t bytes = pages * PAGE_SIZE;
    return 2 * os_resident_pages(page_address(first), bytes) > bytes / os_page_size();
}

bool large_pays_to_move(page_id to, size_t pages)
{
    return pages >= MOVED_LEAST && page_heap_can_move() && !holds_memory(to, pages);
}

bool large_move(page_id from, page_id to)
{
    struct span *span = span_at(from);
    size_t pages = load_relaxed(&span->pages);
    if (!large_pays_to_move(to, pages))
        return false;
    if (span->fresh)
        learn(span, from, pages);
    page_map_set(from, 1, 0);
    page_heap_move(from, pages, to, load_relaxed(&span_at(to)->pages), 0);
    return true;
}

size_t large_size(page_id first) { return (size_t)load_relaxed(&span_at(first)->pages) << PAGE_SHIFT; }

bool large_resize(page_id first, size_t size)
{
    struct span *span = span_at(first);
    size_t pages = load_relaxed(&span->pages);
    size_t wanted = max_size(1, pages_for(size));
    bool clean;
    if (wanted > pages && !page_heap_grow(first, pages, wanted, &clean))
        return false;
    if (wanted < pages)
        page_heap_give((page_id){first.n + (uint32_t)wanted}, pages - wanted);
    store_relaxed(&span->pages, (uint32_t)wanted);
    return true;
}
