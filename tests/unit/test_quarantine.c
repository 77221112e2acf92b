// SPDX-License-Identifier: MIT
#include "core/quarantine.h"

#include "core/alloc.h"
#include "core/page_map.h"
#include <criterion/criterion.h>
#include <stdlib.h>

// The heap is plain: what is put in here is slots of it.
static void *slot(size_t size) { return alloc_fast(size); }

Test(quarantine, a_slot_stays_for_many_exchanges_on_average)
{
    enum { ROUNDS = 200000 };
    unsigned cls = size_class_of(64);
    size_t held = 0;
    for (size_t i = 0; i < ROUNDS; i++) {
        void *out = quarantine_exchange(slot(64), cls);
        held += out == NULL;
        if (out != NULL)
            alloc_free_fast(out);
    }
    cr_assert_eq(held, (size_t)QUARANTINE_SMALL); // after so many each place is taken, and no more than these
}

Test(quarantine, what_went_in_comes_out_once)
{
    uint64_t counts[SIZE_CLASS_COUNT] = {0};
    size_t from = 0, out = 0;
    unsigned small = size_class_of(100), medium = size_class_of(20000);
    void *kept = slot(100), *large = slot(20000);
    cr_assert_null(quarantine_exchange(kept, small));
    cr_assert_null(quarantine_exchange(large, medium));
    quarantine_count(counts);
    cr_assert(counts[small] == 1 && counts[medium] == 1);
    for (void *p; (p = quarantine_next(&from)) != NULL; out++)
        cr_assert(p == kept || p == large);
    cr_assert_eq(out, 2u);
    from = 0;
    cr_assert_null(quarantine_next(&from));
}
