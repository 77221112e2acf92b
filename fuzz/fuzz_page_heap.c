// SPDX-License-Identifier: MIT
// The input is a sequence of steps of the page heap in a small window, with refusals of the kernel in
// between. A bitmap shadows which pages are in use, and pages hold marks.
#include "buddy/huge.h"
#include "buddy/page_heap.h"
#include "core/init.h"
#include "core/options.h"
#include "core/os.h"
#include "fuzz.h"

enum { BLOCKS = 48, WINDOW_PAGES = 1 << 18, USED_MOST = 24 * (int)ZONE_PAGES };

struct run {
    uint32_t first;
    size_t n; // 0: none
};

static struct run blocks[BLOCKS];
static uint64_t used[WINDOW_PAGES / 64];
static size_t used_pages;
static uint32_t fault; // the call to the kernel that fails; 0: none

// --- The shadow.

static bool is_used(uint32_t page) { return used[page / 64] >> page % 64 & 1; }

static void shadow(uint32_t first, size_t n, bool is)
{
    expect(first + n <= sealed.map.pages);
    for (uint32_t page = first; page < first + n; page++) {
        expect(is_used(page) != is);
        used[page / 64] ^= UINT64_C(1) << page % 64;
    }
    used_pages = is ? used_pages + n : used_pages - n;
}

static bool all_free(uint32_t first, size_t n)
{
    for (uint32_t page = first; page < first + n; page++)
        if (page >= sealed.map.pages || is_used(page))
            return false;
    return true;
}

// Whether free zones lie side by side that such a block surely fits into.
static bool surely_fits(size_t n, size_t align)
{
    size_t zones = (n + ZONE_PAGES - 1) / ZONE_PAGES;
    size_t step = align > ZONE_SIZE ? align >> PAGE_SHIFT : ZONE_PAGES;
    size_t base = sealed.map.base >> PAGE_SHIFT;
    if (n > os_memory_bytes() / PAGE_SIZE)
        return false;
    for (size_t first = (step - base % step) % step; first + zones * ZONE_PAGES <= sealed.map.pages;
         first += step)
        if (all_free((uint32_t)first, zones * ZONE_PAGES))
            return true;
    return false;
}

// --- Marks: in each page of a small block, in some pages of a larger one, since each new page costs a fault.

static uint32_t *mark_of(uint32_t page) { return page_address((page_id){page}); }
static uint32_t mark_stride(size_t n) { return n <= 4 ? 1 : n <= 256 ? 16 : 128; }
static bool is_marked(uint32_t page, size_t n) { return page % mark_stride(n) == 0; }

// Writes beside the mark before reading it: reading first would cost a second fault.
static void mark(uint32_t first, size_t n, bool clean)
{
    for (uint32_t page = first; page < first + n; page++)
        if (is_marked(page, n)) {
            uint32_t *words = mark_of(page);
            words[1] = 1;
            expect(!clean || words[0] == 0);
            words[0] = page + 1;
        }
}

// `whole` is the size that the block had when it was marked.
static void expect_marks(uint32_t first, size_t n, size_t whole)
{
    for (uint32_t page = first; page < first + n; page++)
        if (is_marked(page, whole))
            expect(*mark_of(page) == page + 1);
}

// --- Steps.

static bool fault_has_happened(void) { return fault != 0 && os_fallible_calls() >= fault; }

static void enter(struct run *block, uint32_t first, size_t n, bool clean)
{
    *block = (struct run){first, n};
    shadow(first, n, true);
    mark(first, n, clean);
}

static struct run leave(struct run *block)
{
    struct run left = *block;
    if (left.n == 0)
        return left;
    expect_marks(left.first, left.n, left.n);
    shadow(left.first, left.n, false);
    block->n = 0;
    return left;
}

static void give(struct run *block)
{
    struct run run = leave(block);
    if (run.n != 0)
        page_heap_give((page_id){run.first}, run.n);
}

static size_t choose_pages(struct input *input)
{
    unsigned kind = input_u8(input) % 16;
    size_t n = kind < 9    ? input_u8(input) % 16
               : kind < 13 ? input_u8(input) % 64
               : kind < 15 ? input_u8(input)
                           : input_u16(input) % (3 * ZONE_PAGES);
    return used_pages + n <= USED_MOST ? n + 1 : n % 16 + 1;
}

static size_t choose_align(struct input *input)
{
    unsigned kind = input_u8(input);
    return kind < 160 ? PAGE_SIZE : (size_t)1 << kind % 29;
}

static void step_take(struct input *input, struct run *block)
{
    size_t n = choose_pages(input), align = choose_align(input);
    give(block);
    struct page_block taken = page_heap_take(n, align);
    if (taken.first.n == NO_PAGE.n) {
        expect(fault_has_happened() || !surely_fits(n, align));
        return;
    }
    expect((uintptr_t)page_address(taken.first) % align == 0);
    enter(block, taken.first.n, n, taken.clean);
}

static void step_take_recent(struct input *input, struct run *block)
{
    size_t n = choose_pages(input);
    give(block);
    struct page_run taken = page_heap_take_recent(n);
    expect(taken.n == 0 || (taken.n >= n && taken.n - n <= n / 8));
    if (taken.n != 0)
        enter(block, taken.first.n, taken.n, false);
}

// As large blocks of hardened heaps are taken.
static void step_take_second(struct input *input, struct run *block)
{
    size_t n = choose_pages(input) + 2;
    unsigned kind = input_u8(input);
    size_t align = kind % 4 < 3 ? HUGE_PAGES : (size_t)1 << kind / 4 % 13;
    give(block);
    struct page_block taken = page_heap_take_second(n, align, kind >= 128);
    if (taken.first.n == NO_PAGE.n) {
        expect(fault_has_happened() || !surely_fits(n + align - 1, align << PAGE_SHIFT));
        return;
    }
    expect((uintptr_t)page_address((page_id){taken.first.n + 1}) % (align << PAGE_SHIFT) == 0);
    enter(block, taken.first.n, n, taken.clean);
}

// What lies in the block comes to lie in a larger one.
static void step_move(struct input *input, struct run *block)
{
    struct run from = *block, *to = &blocks[input_u8(input) % BLOCKS];
    if (from.n == 0 || to->n <= from.n || !page_heap_can_move())
        return;
    leave(block);
    page_heap_move((page_id){from.first}, from.n, (page_id){to->first}, to->n, PAGE_SIZE);
    for (uint32_t i = 0; i < from.n; i++)
        if (is_marked(from.first + i, from.n))
            expect(*mark_of(to->first + i) == from.first + i + 1);
    mark(to->first, to->n, false);
}

static void step_give(struct input *input, struct run *block)
{
    (void)input;
    give(block);
}

static void step_give_recent(struct input *input, struct run *block)
{
    (void)input;
    struct run run = leave(block);
    if (run.n != 0)
        page_heap_give_recent((page_id){run.first}, run.n);
}

// Keeps the head of the block or its tail.
static void step_give_part(struct input *input, struct run *block)
{
    size_t part = input_u16(input);
    struct run old = *block, given = old, kept = old;
    if (old.n < 2)
        return;
    given.n = 1 + part / 2 % (old.n - 1);
    kept.n = old.n - given.n;
    kept.first += part % 2 ? (uint32_t)given.n : 0;
    given.first += part % 2 ? 0 : (uint32_t)kept.n;
    leave(block);
    page_heap_give((page_id){given.first}, given.n);
    expect_marks(kept.first, kept.n, old.n);
    enter(block, kept.first, kept.n, false);
}

static void step_grow(struct input *input, struct run *block)
{
    struct run old = *block;
    size_t more = choose_pages(input);
    bool clean = false;
    if (old.n == 0)
        return;
    uint32_t next = old.first + (uint32_t)old.n;
    if (!page_heap_grow((page_id){old.first}, old.n, old.n + more, &clean)) {
        bool within = page_zone((page_id){next - 1}).n == page_zone((page_id){next - 1 + (uint32_t)more}).n;
        expect(!within || !all_free(next, more));
        return;
    }
    expect(all_free(next, more));
    leave(block);
    mark(next, more, clean);
    enter(block, old.first, old.n + more, false);
}

static void step_purge(struct input *input, struct run *block)
{
    (void)input, (void)block;
    expect(page_heap_purge() % PAGE_SIZE == 0);
    expect(fault_has_happened() || page_heap_counts().dirty_pages == 0);
}

// With 0 everything goes at the next tick, with -1 nothing does: the clock has no say.
static void step_decay(struct input *input, struct run *block)
{
    (void)block;
    expect(options_set("DECAY_MS", input_u8(input) % 2 ? "0" : "-1") == 0);
    page_heap_decay();
}

// Whether large blocks are filled: then they get what is free, and huge pages, which take long.
static void step_learn(struct input *input, struct run *block)
{
    (void)block;
    huge_learn(input_u8(input) % 4 != 0);
}

static void step_fail_nth(struct input *input, struct run *block)
{
    (void)block;
    fault = input_u8(input) % 8;
    os_fail_nth(fault);
}

static void (*const steps[])(struct input *, struct run *) = {
    step_take, step_take,  step_take,  step_take_recent, step_give,        step_give_recent, step_give_part,
    step_grow, step_purge, step_decay, step_fail_nth,    step_take_second, step_move,        step_learn};

static void check(void)
{
    expect(page_heap_validate());
    struct page_heap_counts counts = page_heap_counts();
    expect(counts.used_pages == used_pages);
    expect(counts.opened_pages == counts.used_pages + counts.dirty_pages + counts.clean_pages);
}

static void start(void)
{
    setenv("TARN_ARENA", "4G", 1);
    setenv("TARN_STRIPES", "2", 1);
    setenv("TARN_DECAY_MS", "-1", 1);
    expect(heap_start());
    expect(sealed.map.pages <= WINDOW_PAGES);
}

static void finish(void)
{
    os_fail_nth(fault = 0);
    huge_learn(false);
    expect(options_set("DECAY_MS", "-1") == 0);
    for (int i = 0; i < BLOCKS; i++)
        give(&blocks[i]);
    page_heap_purge();
    check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    if (!heap_has_started())
        start();
    for (unsigned n = 1; input.left != 0; n++) {
        unsigned step = input_u8(&input);
        steps[step % (sizeof steps / sizeof steps[0])](&input, &blocks[input_u8(&input) % BLOCKS]);
        if (n % 16 == 0)
            check();
    }
    check();
    finish();
    return 0;
}
