// SPDX-License-Identifier: MIT
#include "buddy/huge.h"

#include "core/atomics.h"
#include "core/bits.h"
#include "core/options.h"
#include "core/os.h"
#include "core/page_map.h"
#include <string.h>

// So many pages in use, and the range before has shown what becomes of one.
#define USED_LEAST (HUGE_PAGES * 3 / 4)
// A range counts as filled when at most one in so many of its pages holds nothing.
#define FILLED_PARTS 8
#define SPARED 16
// Blocks in a row that have to be found filled; one that was not takes all of the trust away.
#define FILLED_TRUSTED 2
// Before there is any to judge by, blocks are trusted up to this part of the machine's memory: large blocks
// mostly are filled.
#define CREDIT_PART 512

enum mode { NEVER, AUTO, ALWAYS };

static atomic_u32 mode;          // relaxed; written by huge_init alone
static atomic_u32 filled_blocks; // relaxed: a hint; in a row
static atomic_u64 credit;        // relaxed: pages; falls only, once huge_init has granted it

// What the kernel's page table level above the pages spans; it is 2 MiB where pages are 4 KiB.
static bool kernel_fits(void) { return os_page_size() * os_page_size() / 8 == (size_t)1 << HUGE_SHIFT; }

static enum mode mode_of(const char *text)
{
    if (!kernel_fits() || strcmp(text, "never") == 0)
        return NEVER;
    return strcmp(text, "always") == 0 ? ALWAYS : AUTO;
}

void huge_keep_small(void *start, size_t size)
{
    if (kernel_fits())
        os_advise_huge(start, size, false);
}

void huge_init(void *base, size_t size)
{
    store_relaxed(&mode, mode_of(load_relaxed(&options.thp)));
    store_relaxed(&credit, os_memory_bytes() / PAGE_SIZE / CREDIT_PART);
    huge_keep_small(base, size);
}

bool huge_is_dense(struct huge_history *self)
{
    uint32_t last = load_relaxed(&self->last);
    if (last != 0 && cas_relaxed(&self->last, &last, 0)) {
        const void *range = page_address((page_id){last - 1});
        size_t size = (size_t)1 << HUGE_SHIFT, kernel_pages = size / os_page_size();
        bool filled = os_resident_pages(range, size) * FILLED_PARTS >= kernel_pages * (FILLED_PARTS - 1);
        store_relaxed(&self->dense, filled);
    }
    return load_relaxed(&self->dense) != 0;
}

bool huge_spares(struct huge_history *self) { return fetch_add_relaxed(&self->ranges, 1) % SPARED == 0; }

void huge_note_small(struct huge_history *self, page_id first) { store_relaxed(&self->last, first.n + 1); }

// A block that reaches into several zones asks for each of them.
static bool spend_credit(size_t n_block)
{
    uint64_t n = min_size(n_block, ZONE_PAGES), left = load_relaxed(&credit);
    while (left >= n)
        if (cas_relaxed(&credit, &left, left - n))
            return true;
    return false;
}

bool huge_blocks_are_filled(void) { return load_relaxed(&filled_blocks) >= FILLED_TRUSTED; }

bool huge_pays(size_t n, uint64_t used_pages, bool dense)
{
    if (load_relaxed(&mode) != AUTO)
        return load_relaxed(&mode) == ALWAYS;
    if (n >= HUGE_PAGES)
        return huge_blocks_are_filled() || spend_credit(n);
    return dense && used_pages >= USED_LEAST;
}

void huge_learn(bool filled)
{
    uint32_t before = load_relaxed(&filled_blocks);
    if (!filled)
        store_relaxed(&credit, 0);
    if (!filled && before != 0)
        store_relaxed(&filled_blocks, 0);
    else if (filled && before < FILLED_TRUSTED)
        store_relaxed(&filled_blocks, before + 1);
}
