// SPDX-License-Identifier: MIT
#include "core/lone.h"

#include "buddy/page_heap.h"
#include "core/bits.h"
#include "core/canary.h"
#include "core/harden.h"
#include "core/hardened.h"
#include "core/limit.h"
#include "core/misuse.h"
#include "core/os.h"
#include "core/page_map.h"
#include "core/random.h"
#include "core/span.h"
#include <string.h>

// A block has a run of pages of the heap's, all of which is forbidden but the body, whole pages of the
// kernel's. The block ends where the body does, but for what its alignment leaves:
//
//     forbidden: one page of the kernel's │ zeros, block, rest │ forbidden: one or more
//                                         body = rim + size + rest
//
// The body is all of a run that may be resident, so what it leaves counts as rested (limit.h):
//     rested == PAGE_SIZE * n - body while a block lives, PAGE_SIZE * n while its run waits

#define ALIGN ((size_t)16)
#define REST_BYTE ((unsigned char)(CANARY_PAD_WORD & 0xff))

// The run's pages before the one that its block begins on. Smaller pages of the kernel's lie on one of ours.
static size_t pages_before(void) { return os_page_size() >> PAGE_SHIFT; }

static size_t body_for(size_t size) { return align_up(max_size(size, 1), os_page_size()); }

static char *body_of(struct page_run run) { return (char *)page_address(run.first) + os_page_size(); }

// --- Runs that wait.

// Each place holds a recent_word or nothing; the one that is next has waited longest.
static struct {
    _Alignas(CACHE_LINE) atomic_u64 next; // relaxed: takes turns
    atomic_u64 places[LONE_WAITING];
} waiting TABLE;

// The kernel has the memory of a run that goes home; the page heap takes it for dirty all the same.
static void send_home(struct page_run run, size_t rested)
{
    if (!guard_lift(run.first, run.n))
        return;
    limit_charge(rested);
    limit_wake(rested);
    page_heap_give(run.first, run.n);
}

static void send_waited(struct page_run run) { send_home(run, run.n * PAGE_SIZE); }

static void wait_in_turn(struct page_run run)
{
    size_t place = fetch_add_relaxed(&waiting.next, 1) % LONE_WAITING;
    uint64_t word = recent_word(run.first, run.n);
    struct page_run oldest =
        recent_run(exchange_acq_rel(&waiting.places[place], word)); // pairs with itself and take_waited
    if (oldest.n != 0)
        send_waited(oldest);
}

// The run that has waited longest, if it has n pages and all places are taken.
static struct page_run take_waited(size_t n)
{
    atomic_u64 *place = &waiting.places[load_relaxed(&waiting.next) % LONE_WAITING];
    uint64_t word = load_relaxed(place);
    bool fits = recent_run(word).n == n && cas_acquire(place, &word, 0); // pairs with wait_in_turn
    return fits ? recent_run(word) : (struct page_run){NO_PAGE, 0};
}

uint64_t lone_waiting_pages(void)
{
    uint64_t pages = 0;
    for (size_t i = 0; i < LONE_WAITING; i++)
        pages += recent_run(load_relaxed(&waiting.places[i])).n;
    return pages;
}

static bool waits_unnamed(struct page_run run)
{
    bool unnamed = true;
    for (uint32_t i = 0; i < run.n; i++)
        unnamed &= page_entry((page_id){run.first.n + i}) == 0;
    return unnamed;
}

bool lone_validate(void)
{
    size_t runs = 0;
    for (size_t i = 0; i < LONE_WAITING; i++) {
        struct page_run run = recent_run(load_relaxed(&waiting.places[i]));
        if (!waits_unnamed(run))
            return false;
        runs += run.n != 0;
    }
    return runs <= guard_count();
}

// --- Blocks.

// One of so many requests as long as there are guards in plenty, fewer and fewer beyond: so that blocks which
// stay do not leave those to come without any.
static bool is_chosen(void)
{
    size_t guards = guard_count();
    if (guards >= LONE_GUARDS)
        return false;
    return random_below((size_t)sealed.sample * LONE_PLENTY) < min_size(LONE_GUARDS - guards, LONE_PLENTY);
}

static struct page_run take_new(size_t n)
{
    struct page_run run = {page_heap_take(n, PAGE_SIZE).first, n};
    if (run.first.n == NO_PAGE.n)
        return (struct page_run){NO_PAGE, 0};
    if (guard_raise(run.first, n)) {
        limit_rest(n * PAGE_SIZE);
        return run;
    }
    page_heap_give(run.first, n);
    return (struct page_run){NO_PAGE, 0};
}

// A run that is forbidden, and wholly rested.
static struct page_run take_closed(size_t n)
{
    struct page_run run = take_waited(n);
    return run.n != 0 ? run : take_new(n);
}

static bool open_body(struct page_run run, size_t body)
{
    if (!limit_reserve(body))
        return false;
    if (!guard_open(body_of(run), body)) {
        limit_discharge(body);
        return false;
    }
    limit_wake(body);
    return true;
}

static void *make_block(struct page_run run, size_t size, size_t align, const void *site)
{
    char *end = body_of(run) + body_for(size);
    char *p = (char *)align_down((uintptr_t)end - max_size(size, 1), max_size(align, ALIGN));
    page_id head = page_of(p);
    struct span *span = span_at(head);
    store_relaxed(&span->pages, (uint32_t)(run.n - pages_before()));
    store_relaxed(&span->asked, (uint32_t)size);
    store_relaxed(&span->offset, (uint32_t)(p - (char *)page_address(head)));
    hardened_note_allocated(head, site);
    memset(p + size, REST_BYTE, (size_t)(end - p) - size);
    page_map_set(head, 1, PAGE_LONE);
    return p;
}

void *lone_alloc(size_t size, size_t align, const void *site)
{
    size_t unit = os_page_size(), body = body_for(size);
    if (align > unit || !guard_is_possible() || !is_chosen())
        return NULL;
    struct page_run run = take_closed(pages_for(body + 2 * unit));
    if (run.n == 0)
        return NULL;
    if (!open_body(run, body)) {
        send_waited(run);
        return NULL;
    }
    return make_block(run, size, align, site);
}

void *lone_address(page_id head) { return (char *)page_address(head) + load_relaxed(&span_at(head)->offset); }

static bool is_all(const char *bytes, size_t n, unsigned char value)
{
    return n == 0 || ((unsigned char)bytes[0] == value && memcmp(bytes, bytes + 1, n - 1) == 0);
}

size_t lone_size(page_id head)
{
    const char *p = lone_address(head), *body = (char *)align_down((uintptr_t)p, os_page_size());
    size_t size = load_relaxed(&span_at(head)->asked), rest = body_for(size) - (size_t)(p - body) - size;
    if (!is_all(p + size, rest, REST_BYTE))
        misuse_overrun(p, size + rest, hardened_large_sites(head));
    if (!is_all(body, (size_t)(p - body), 0))
        misuse_underrun(p, hardened_large_sites(head));
    return size;
}

static struct page_run run_of(page_id head)
{
    size_t before = pages_before();
    return (struct page_run){{head.n - (uint32_t)before}, load_relaxed(&span_at(head)->pages) + before};
}

struct lone_bytes lone_bytes(page_id head)
{
    size_t asked = load_relaxed(&span_at(head)->asked), held = body_for(asked);
    size_t all = run_of(head).n * PAGE_SIZE; // nothing, of a block that has gone home meanwhile
    return (struct lone_bytes){asked, held, all > held ? all - held : 0};
}

// Of two threads that free it at once one comes too late.
void lone_free(page_id head, const void *site)
{
    uint32_t entry = PAGE_LONE;
    if (!cas_relaxed(&sealed.map.entries[head.n], &entry, 0))
        misuse_double_free(lone_address(head), hardened_large_sites(head));
    size_t body = body_for(lone_size(head));
    hardened_note_freed(head, site);
    struct page_run run = run_of(head);
    if (guard_close(body_of(run), body)) {
        limit_rest(body);
        wait_in_turn(run);
    } else {
        send_home(run, run.n * PAGE_SIZE - body);
    }
}
