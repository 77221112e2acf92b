// SPDX-License-Identifier: MIT
#include "core/canary.h"

#include "../support/fill.h"
#include "core/harden.h"
#include "core/options.h"
#include <criterion/criterion.h>
#include <string.h>

enum { SLOT = 112 };
static _Alignas(16) unsigned char slot[SLOT];

static void start(void)
{
    store_relaxed(&options.harden, HARDEN_CANARIES);
    harden_init();
}

TestSuite(canary, .init = start);

static enum canary_state look(size_t *size) { return canary_look(slot, SLOT, size); }

Test(canary, a_slot_is_fresh_live_and_freed_in_turn)
{
    size_t size;
    cr_assert_eq(look(&size), CANARY_FRESH);
    for (size_t wanted = 0; wanted <= SLOT - CANARY_BYTES; wanted++) {
        canary_set_live(slot, SLOT, wanted);
        memset(slot, 255, wanted);
        cr_assert_eq(look(&size), CANARY_LIVE);
        cr_assert_eq(size, wanted);
        canary_set_freed(slot, SLOT);
        cr_assert_eq(look(&size), CANARY_FREED);
        cr_assert(canary_is_clear(slot, SLOT));
        cr_assert(fill_is_zero(slot, SLOT - CANARY_BYTES));
    }
}

// Each byte behind the block that is looked at, with each value that is not there already.
Test(canary, every_byte_of_pad_and_word_counts)
{
    size_t size;
    for (size_t wanted = SLOT - CANARY_BYTES - CANARY_PAD; wanted <= SLOT - CANARY_BYTES; wanted += 3)
        for (size_t at = wanted; at < SLOT; at++)
            for (int value = 0; value < 256; value++) {
                canary_set_live(slot, SLOT, wanted);
                unsigned char before = slot[at];
                slot[at] = (unsigned char)value;
                cr_assert(value == before || look(&size) == CANARY_BROKEN, "%zu %zu %d", wanted, at, value);
            }
}

Test(canary, the_end_of_a_string_breaks_it)
{
    for (int i = 0; i < 64; i++) {
        unsigned char slots[64 * SLOT];
        canary_set_live(slots + (size_t)i * SLOT, SLOT, SLOT - CANARY_BYTES);
        cr_assert_neq(slots[(size_t)i * SLOT + SLOT - CANARY_BYTES], 0);
    }
}

Test(canary, another_slots_word_is_no_canary)
{
    unsigned char other[SLOT];
    size_t size;
    canary_set_live(slot, SLOT, 50);
    memcpy(other, slot, SLOT);
    cr_assert_eq(canary_look(other, SLOT, &size), CANARY_BROKEN);
}

Test(canary, a_clear_slot_has_no_byte_set)
{
    for (size_t at = 0; at < SLOT - CANARY_BYTES; at++) {
        canary_set_freed(slot, SLOT);
        slot[at] = 1;
        cr_assert_not(canary_is_clear(slot, SLOT), "%zu", at);
    }
}
