// SPDX-License-Identifier: MIT
#include "core/span.h"

#include "buddy/page_heap.h"
#include "buddy/zone.h"
#include "core/bits.h"
#include "core/canary.h"
#include "core/harden.h"
#include "core/misuse.h"
#include "core/os.h"
#include "core/page_map.h"
#include "core/random.h"

#define SLOTS_APART 47 // of all numbers below 64 one that spreads the classes well

_Static_assert(sizeof(span_state) == sizeof(uint64_t), "the packed state is one word");
_Static_assert(sizeof(struct span) == PAGE_DESCRIPTOR_BYTES, "a span's descriptor fills a page's");
_Static_assert(offsetof(struct span, seen) == RETURNING_PAGES_AT &&
                   offsetof(struct span, rested) == RETURNING_FIRST_AT &&
                   offsetof(struct span, unused) <= RETURNING_NODE_AT &&
                   offsetof(struct span, bits) == RETURNING_NODE_AT + 8,
               "what a block on its way home writes over is the holder's alone, or unused");
_Static_assert(SIZE_CLASS_SLOTS_MAX < SPAN_FREE_BIAS, "the count cannot reach the mode");
_Static_assert(PAGE_SIZE / 16 <= 16 * 64,
               "the bitmap of a page of the smallest slots fits into its descriptor");

struct span_step span_step_take(span_state before, int64_t n)
{
    return (struct span_step){span_state_make(SPAN_HELD, span_state_free(before) - n), SPAN_NOTHING};
}

struct span_step span_step_hold(span_state before, int64_t slots)
{
    int64_t free = span_state_free(before);
    return (struct span_step){span_state_make(SPAN_HELD, free),
                              free == slots ? SPAN_NOTE_NOT_EMPTY : SPAN_NOTHING};
}

// A retiring span keeps its HELD state: nobody can give to it, because nobody has one of its slots.
struct span_step span_step_release(span_state before, int64_t slots)
{
    int64_t free = span_state_free(before);
    if (free == slots)
        return (struct span_step){before, SPAN_RETIRE};
    if (free <= 0)
        return (struct span_step){span_state_make(SPAN_FULL, free), SPAN_NOTHING};
    return (struct span_step){span_state_make(SPAN_LISTED, free), SPAN_LIST};
}

void span_reject(const char *call, const void *p, page_id page, unsigned cls)
{
    uintptr_t start = (uintptr_t)page_address(span_first_page(page));
    size_t slot = size_class_slot(cls, (uintptr_t)p - start), size = size_class_size(cls);
    bool whole = slot < size_class_table[cls].slots;
    const void *block = (const void *)(start + slot * size);
    misuse_interior(call, p, block, whole ? canary_sites(block, size) : NO_SITES);
}

uint32_t span_set_home(struct span *self, uint32_t home)
{
    uint32_t entry = home << PAGE_HOME_SHIFT | (uint32_t)self->cls << PAGE_CLASS_SHIFT;
    uint32_t before = exchange_relaxed(&sealed.map.entries[self->first.n], entry);
    page_map_set((page_id){self->first.n + 1}, load_relaxed(&self->pages) - 1, entry);
    return before >> PAGE_HOME_SHIFT;
}

static void set_all_bits(struct span *self)
{
    size_t slots = self->slots;
    for (size_t i = 0; i * 64 < slots; i++) {
        size_t left = slots - i * 64;
        store_relaxed(&self->bits[i], left >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << left) - 1);
    }
}

struct span *span_make_small(page_id first, unsigned cls, uint32_t home)
{
    struct span *self = page_descriptor(first);
    self->first = first;
    store_relaxed(&self->pages, size_class_table[cls].pages);
    self->size = size_class_table[cls].size;
    self->slots = size_class_table[cls].slots;
    self->cls = (uint8_t)cls;
    self->age = SPAN_IN_USE;
    self->rested = 0;
    store_relaxed(&self->guarded, false);
    store_relaxed(&self->next_word, 0);
    set_all_bits(self);
    store_relaxed(&self->state, span_state_make(SPAN_HELD, self->slots).word);
    for (uint32_t i = 0; i < size_class_table[cls].pages; i++)
        page_head_distance(first)[i] = (uint8_t)i;
    span_set_home(self, home);
    return self;
}

struct span *span_make_large(page_id first, size_t pages, bool fresh)
{
    struct span *self = span_at(first);
    self->first = first;
    store_relaxed(&self->pages, (uint32_t)pages);
    self->size = 0;
    self->slots = 1;
    self->cls = 0;
    self->fresh = fresh;
    self->filled = false;
    page_map_set(first, 1, PAGE_LARGE);
    return self;
}

static enum span_duty count_taken(struct span *self, size_t n)
{
    SPAN_APPLY(self, span_step_take(before, (int64_t)n));
}
enum span_duty span_hold(struct span *self) { SPAN_APPLY(self, span_step_hold(before, self->slots)); }
enum span_duty span_release(struct span *self) { SPAN_APPLY(self, span_step_release(before, self->slots)); }

// The n lowest bits of a word; all when it has no more.
static uint64_t lowest_bits(uint64_t word, size_t n)
{
    uint64_t rest = word;
    while (n-- > 0 && rest != 0)
        rest &= rest - 1;
    return word & ~rest;
}

// Any n bits of a word, in a row from a random one on.
static uint64_t random_run(uint64_t word, size_t n)
{
    unsigned from = (unsigned)random_below(64), back = (64 - from) % 64;
    uint64_t turned = lowest_bits(word >> from | word << back, n);
    return turned << from | turned >> back;
}

// Spans begin where pages begin, and so would the objects that threads use again and again, one of each
// class: all in the same few sets of a processor's cache. So the first objects of a span lie further on, but
// on as few of the kernel's pages.
static unsigned first_slot(const struct span *self, size_t n)
{
    size_t room = min_size(align_up(n * self->size, os_page_size()) / self->size, min_size(self->slots, 64));
    return room <= n ? 0 : (unsigned)(self->cls * SLOTS_APART % (room - n + 1));
}

static bool is_untouched(const struct span *self, size_t word, uint64_t free)
{
    return word == 0 && bits_count(free) == min_size(self->slots, 64);
}

static uint64_t some_bits(const struct span *self, size_t word, uint64_t free, size_t n)
{
    if (is_hardened())
        return random_run(free, n);
    unsigned from = is_untouched(self, word, free) ? first_slot(self, n) : 0;
    return lowest_bits(free >> from << from, n);
}

static uint64_t take_word(struct span *self, size_t word, size_t n)
{
    uint64_t free = load_relaxed(&self->bits[word]); // only we clear bits, so what we see stays ours to take
    if (free == 0)
        return 0;
    uint64_t mine = bits_count(free) <= n ? free : some_bits(self, word, free, n);
    fetch_and_acquire(&self->bits[word], ~mine); // pairs with span_give_bits
    return mine;
}

// From the highest bit down, so that a cache, which pops from the end, hands the lowest address out first.
static void **emit(const struct span *self, size_t word, uint64_t mine, void **out)
{
    uintptr_t base = span_start(self) + word * 64 * self->size;
    for (; mine != 0; mine &= ~(UINT64_C(1) << bits_highest(mine)))
        *out++ = (void *)(base + bits_highest(mine) * (uintptr_t)self->size);
    return out;
}

size_t span_take(struct span *self, void **out, size_t n)
{
    size_t words = (self->slots + 63u) / 64, word = load_relaxed(&self->next_word);
    void **end = out;
    if (is_hardened())
        word = random_below(words);
    for (size_t i = 0; i < words && (size_t)(end - out) < n; i++, word = word + 1 < words ? word + 1 : 0) {
        end = emit(self, word, take_word(self, word, n - (size_t)(end - out)), end);
        store_relaxed(&self->next_word, (uint32_t)word);
    }
    if (end != out)
        count_taken(self, (size_t)(end - out));
    if (is_hardened())
        random_shuffle(out, (size_t)(end - out));
    self->age = SPAN_IN_USE;
    return (size_t)(end - out);
}

// A quarter of what was live has gone since the last visit. In a resting span those are few slots, but the
// last ones hold most of the kernel's pages.
static bool has_thinned(const struct span *self, int64_t free)
{
    return 4 * (self->slots - free) <= 3 * (self->slots - self->seen);
}

bool span_visit(struct span *self)
{
    int64_t free = span_free(self);
    bool as_before = self->age != SPAN_IN_USE && free <= self->seen + self->slots / 8 &&
                     !(self->age == SPAN_RESTING && has_thinned(self, free));
    if (as_before)
        return self->age == SPAN_SEEN;
    self->age = SPAN_SEEN;
    self->seen = (uint16_t)(free < 0 ? 0 : free);
    return false;
}

// The slots of [first, end) are free; the last one's includes the span's tail.
static size_t purge_slots(struct span *self, size_t first, size_t end)
{
    size_t unit = os_page_size();
    uintptr_t start = span_start(self), pages_end = start + load_relaxed(&self->pages) * PAGE_SIZE;
    uintptr_t from = align_up(start + first * self->size, unit);
    // Rounded down at the span's end too: the kernel's pages may be larger than ours.
    uintptr_t to = align_down(end == self->slots ? pages_end : start + end * self->size, unit);
    return from < to && os_purge((void *)from, to - from) ? to - from : 0;
}

size_t span_rest(struct span *self)
{
    uint64_t free[sizeof self->bits / sizeof self->bits[0]];
    size_t slots = self->slots, purged = 0;
    for (size_t i = 0; i * 64 < slots; i++)
        free[i] = load_acquire(&self->bits[i]); // pairs with span_give_bits
    for (size_t first = 0, end; (first = bits_find_set(free, first, slots)) < slots; first = end) {
        end = bits_find_clear(free, first, slots);
        purged += purge_slots(self, first, end);
    }
    if (purged != 0)
        page_heap_break_huge(self->first, load_relaxed(&self->pages));
    self->age = SPAN_RESTING;
    self->seen = (uint16_t)bits_count_range(free, 0, slots);
    return purged;
}

bool span_validate(struct span *self)
{
    size_t bits = 0;
    for (size_t i = 0; i * 64 < self->slots; i++)
        bits += bits_count(load_relaxed(&self->bits[i]));
    return (int64_t)bits == span_free(self);
}
