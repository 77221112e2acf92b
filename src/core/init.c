// SPDX-License-Identifier: MIT
#include "core/init.h"

#include "buddy/page_heap.h"
#include "buddy/zone_table.h"
#include "core/alloc.h"
#include "core/batch.h"
#include "core/central.h"
#include "core/fork.h"
#include "core/harden.h"
#include "core/limit.h"
#include "core/meta.h"
#include "core/options.h"
#include "core/os.h"
#include "core/page_map.h"
#include "core/print.h"
#include "core/site.h"
#include "tcache/tcache.h"
#include <unistd.h>

enum { STARTED, STARTING, COLD };

static atomic_u32 phase = COLD; // not 0: so it lies in a page that the loader has written to

bool heap_has_started(void) { return load_acquire(&phase) == STARTED; } // pairs with heap_start

static void load_options(void)
{
    static bool pending =
        true; // a start that failed further on is tried again, without the warnings; as `phase`
    struct printer warnings;
    if (!pending)
        return;
    pending = false;
    printer_init_fd(&warnings, STDERR_FILENO);
    options_load(os_environment(), os_is_secure(), &warnings);
    if (load_relaxed(&options.help))
        options_print(&warnings);
    print_flush(&warnings);
}

static void tell(void)
{
    struct printer line;
    printer_init_fd(&line, STDERR_FILENO);
    print_text(&line,
               page_map_is_reserved() ? "tarn: reserved " : "tarn: zones are reserved one by one within ");
    print_size(&line, sealed.map.pages * PAGE_SIZE);
    print_text(&line, " of address space, stripes: ");
    print_u64(&line, page_heap_stripes());
    print_text(&line, "\n");
    print_flush(&line);
}

static bool start_layers(void)
{
    load_options();
    limit_refresh();
    harden_init();
    meta_init();
    if (!site_init() || !page_map_init(load_relaxed(&options.arena)) || !zone_table_init())
        return false;
    page_heap_init();
    batch_init();
    central_init();
    tcache_init();
    alloc_init();
    fork_init();
    if (is_hardened())
        sealed_close();
    if (load_relaxed(&options.verbose))
        tell();
    return true;
}

bool heap_start(void)
{
    uint32_t cold = COLD;
    while (!heap_has_started()) {
        if (cas_acquire(&phase, &cold, STARTING)) {
            bool started = start_layers();
            store_release(&phase, started ? STARTED : COLD); // pairs with heap_has_started
            return started;
        }
        cold = COLD;
        os_yield(); // another thread is at it; it is done in microseconds
    }
    return true;
}
