// SPDX-License-Identifier: MIT
#include "core/quarantine.h"

#include "core/alloc.h"
#include "core/page_map.h"
#include <criterion/criterion.h>
#include <stdlib.h>

// The heap is plain: what is put in here is slots of it.
static void *slot(size_t size) { return alloc_fast(size); }

static struct quarantine quarantine;

Test(quarantine, a_slot_stays_for_many_exchanges_on_average)
{
    enum { ROUNDS = 20000 };
    size_t held = 0;
    quarantine_seed(&quarantine);
    for (size_t i = 0; i < ROUNDS; i++) {
        void *out = quarantine_exchange(&quarantine, slot(64), 64);
        held += out == NULL;
        if (out != NULL)
            alloc_free_fast(out);
    }
    cr_assert_eq(held, QUARANTINE_SMALL); // after so many each place is taken, and no more than these
}

Test(quarantine, what_went_in_comes_out_once)
{
    uint64_t counts[SIZE_CLASS_COUNT] = {0};
    size_t from = 0, out = 0;
    void *kept = slot(100), *large = slot(20000);
    cr_assert_null(quarantine_exchange(&quarantine, kept, 112));
    cr_assert_null(quarantine_exchange(&quarantine, large, 20480));
    quarantine_count_shared(&quarantine, counts);
    cr_assert(counts[size_class_of(100)] == 1 && counts[size_class_of(20000)] == 1);
    for (void *p; (p = quarantine_next(&quarantine, &from)) != NULL; out++)
        cr_assert(p == kept || p == large);
    cr_assert_eq(out, 2u);
    from = 0;
    cr_assert_null(quarantine_next(&quarantine, &from));
}

Test(quarantine, two_seeds_choose_other_places)
{
    static struct quarantine other;
    size_t same = 0;
    quarantine_seed(&quarantine);
    quarantine_seed(&other);
    for (size_t i = 0; i < 1000; i++)
        same += random_step(&quarantine.random) >> (64 - QUARANTINE_SMALL_SHIFT) ==
                random_step(&other.random) >> (64 - QUARANTINE_SMALL_SHIFT);
    cr_assert_lt(same, 50u);
}
