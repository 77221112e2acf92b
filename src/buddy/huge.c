// SPDX-License-Identifier: MIT
#include "buddy/huge.h"

#include "core/atomics.h"
#include "core/bits.h"
#include "core/options.h"
#include "core/os.h"
#include <string.h>

// At this many ranges in use, one that stays half empty is a few percent.
#define USED_RANGES 8
// Blocks in a row that have to be found filled; one that was not takes all of the trust away.
#define FILLED_TRUSTED 2

enum mode { NEVER, AUTO, ALWAYS };

static atomic_u32 mode;          // relaxed; written by huge_init alone
static atomic_u32 filled_blocks; // relaxed: a hint; in a row

// What the kernel's page table level above the pages spans; it is 2 MiB where pages are 4 KiB.
static bool kernel_fits(void) { return os_page_size() * os_page_size() / 8 == (size_t)1 << HUGE_SHIFT; }

static enum mode mode_of(const char *text)
{
    if (!kernel_fits() || strcmp(text, "never") == 0)
        return NEVER;
    return strcmp(text, "always") == 0 ? ALWAYS : AUTO;
}

void huge_init(void *base, size_t size)
{
    store_relaxed(&mode, mode_of(load_relaxed(&options.thp)));
    if (kernel_fits())
        os_advise_huge(base, size, load_relaxed(&mode) == ALWAYS);
}

bool huge_pays(size_t n, uint64_t used_pages)
{
    if (load_relaxed(&mode) != AUTO)
        return load_relaxed(&mode) == ALWAYS;
    if (n >= HUGE_PAGES)
        return load_relaxed(&filled_blocks) >= FILLED_TRUSTED;
    return used_pages >= USED_RANGES * HUGE_PAGES;
}

void huge_learn(bool filled)
{
    uint32_t before = load_relaxed(&filled_blocks);
    if (!filled && before != 0)
        store_relaxed(&filled_blocks, 0);
    else if (filled && before < FILLED_TRUSTED)
        store_relaxed(&filled_blocks, before + 1);
}
