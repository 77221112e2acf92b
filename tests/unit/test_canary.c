// SPDX-License-Identifier: MIT
#include "core/canary.h"

#include "../support/fill.h"
#include "core/harden.h"
#include "core/options.h"
#include "core/size_class.h"
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

static void set_live(void *p, size_t size) { canary_set_live(p, SLOT, size, canary_hash(p), 7); }
static void set_freed_at(void *p, size_t size, uint32_t site)
{
    uint64_t word = canary_word_freed(canary_hash(p), load_relaxed(canary_place(p, size)), site);
    (size <= SLOT_SHORT ? canary_set_freed_short : canary_set_freed_long)(p, size, word);
}

static void set_freed(void) { set_freed_at(slot, SLOT, 9); }
static enum canary_state look(size_t *size) { return canary_look(slot, SLOT, size); }

Test(canary, a_slot_is_fresh_live_and_freed_in_turn)
{
    size_t size;
    cr_assert_eq(look(&size), CANARY_FRESH);
    for (size_t wanted = 0; wanted <= SLOT - CANARY_BYTES; wanted++) {
        set_live(slot, wanted);
        memset(slot, 255, wanted);
        cr_assert_eq(look(&size), CANARY_LIVE);
        cr_assert_eq(size, wanted);
        set_freed();
        cr_assert_eq(look(&size), CANARY_FREED);
        cr_assert(canary_is_free(slot, SLOT, canary_hash(slot)));
        cr_assert(fill_is_zero(slot, SLOT - CANARY_BYTES));
    }
}

// Each byte behind the block that is looked at, with each value that is not there already. The canary is set
// both ways.
Test(canary, every_byte_of_pad_and_word_counts)
{
    size_t size;
    for (size_t wanted = SLOT - CANARY_BYTES - 30; wanted <= SLOT - CANARY_BYTES; wanted++)
        for (size_t at = wanted; at < SLOT; at++)
            for (int value = 0; value < 256; value++) {
                if (at >= wanted + 16 && at < SLOT - 2 * CANARY_BYTES)
                    continue;
                if (value % 2 == 0)
                    canary_set_size(slot, SLOT, wanted, 0);
                else
                    set_live(slot, wanted);
                cr_assert(look(&size) == CANARY_LIVE && size == wanted);
                unsigned char before = slot[at];
                slot[at] = (unsigned char)value;
                cr_assert(value == before || look(&size) == CANARY_BROKEN, "%zu %zu %d", wanted, at, value);
            }
}

Test(canary, a_new_size_leaves_the_block_as_it_is)
{
    for (size_t size = 0; size <= SLOT - CANARY_BYTES; size++) {
        set_live(slot, SLOT - CANARY_BYTES);
        memset(slot, 1, SLOT - CANARY_BYTES);
        canary_set_size(slot, SLOT, size, 0);
        for (size_t i = 0; i < size; i++)
            cr_assert_eq(slot[i], 1);
    }
}

Test(canary, the_end_of_a_string_breaks_it)
{
    for (int i = 0; i < 64; i++) {
        unsigned char slots[64 * SLOT];
        set_live(slots + (size_t)i * SLOT, SLOT - CANARY_BYTES);
        cr_assert_neq(slots[(size_t)i * SLOT + SLOT - CANARY_BYTES], 0);
    }
}

Test(canary, a_slot_of_every_class_is_looked_at_as_far_as_it_is_watched)
{
    static _Alignas(16) unsigned char any[SIZE_CLASS_MAX];
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++) {
        size_t size = size_class_size(cls), hash = canary_hash(any);
        memset(any, 1, size);
        set_freed_at(any, size, 9);
        cr_assert(fill_is_zero(any, min_size(size - CANARY_BYTES, CANARY_WATCHED)));
        cr_assert(canary_is_free(any, size, hash), "%zu", size);
        for (size_t at = 0; at < size - CANARY_BYTES; at += 1 + size / 1000) {
            bool watched = at < CANARY_WATCHED || at >= size - 16;
            any[at] = 1;
            cr_assert_eq(canary_is_free(any, size, hash), !watched, "%zu %zu", size, at);
            any[at] = 0;
        }
    }
}

Test(canary, another_slots_word_is_no_canary)
{
    unsigned char other[SLOT];
    size_t size;
    set_live(slot, 50);
    memcpy(other, slot, SLOT);
    cr_assert_eq(canary_look(other, SLOT, &size), CANARY_BROKEN);
}

Test(canary, a_clear_slot_has_no_byte_set)
{
    for (size_t at = 0; at < SLOT - CANARY_BYTES; at++) {
        set_freed();
        cr_assert(canary_is_clear(slot, SLOT));
        slot[at] = 1;
        cr_assert_not(canary_is_clear(slot, SLOT), "%zu", at);
    }
}

// What runs over the end by a few bytes leaves the number of the allocation.
Test(canary, a_slot_tells_its_sites)
{
    cr_assert(site_init());
    uint32_t first = site_number((const void *)0x1000), second = site_number((const void *)0x2000);
    cr_assert(canary_sites(slot, SLOT).allocated == NULL && canary_sites(slot, SLOT).freed == NULL);
    canary_set_live(slot, SLOT, SLOT - CANARY_BYTES, canary_hash(slot), first);
    cr_assert_eq(canary_sites(slot, SLOT).allocated, (const void *)0x1000);
    cr_assert_null(canary_sites(slot, SLOT).freed);
    memset(slot + SLOT - CANARY_BYTES, 0, 4);
    cr_assert_eq(canary_sites(slot, SLOT).allocated, (const void *)0x1000);
    memset(slot + SLOT - CANARY_BYTES, 'a', 6);
    cr_assert_null(canary_sites(slot, SLOT).allocated);
    canary_set_live(slot, SLOT, 100, canary_hash(slot), first);
    set_freed_at(slot, SLOT, second);
    cr_assert_eq(canary_sites(slot, SLOT).allocated, (const void *)0x1000);
    cr_assert_eq(canary_sites(slot, SLOT).freed, (const void *)0x2000);
}
