// SPDX-License-Identifier: MIT
#include "core/slot.h"

#include "../support/fill.h"
#include "core/size_class.h"
#include <criterion/criterion.h>
#include <string.h>

enum { AROUND = 64, MOST = 512 };
static _Alignas(64) unsigned char area[AROUND + MOST + AROUND];
static unsigned char *const slot = area + AROUND;

static void check_cleared(size_t size, size_t cleared)
{
    memset(area, 255, sizeof area);
    if (size <= SLOT_SHORT)
        slot_clear_short(slot, size);
    else
        slot_clear_long(slot, size);
    cr_assert(fill_is_zero(slot, cleared), "of %zu bytes", size);
    for (size_t i = 0; i < sizeof area; i++)
        if (area + i < slot || area + i >= slot + cleared)
            cr_assert_eq(area[i], 255, "byte %zd of a slot of %zu", (ptrdiff_t)i - AROUND, size);
}

Test(slot, all_that_is_to_be_cleared_is_cleared_and_nothing_beside_it)
{
    for (size_t size = 16; size <= MOST; size += 16)
        check_cleared(size, min_size(size, SLOT_CLEARED));
}

static bool sees(size_t n)
{
    slot_chunk bits = n <= SLOT_SHORT ? slot_bits_short(slot, n) : slot_bits_long(slot, n);
    return (bits[0] | bits[1]) != 0;
}

static void check_seen(size_t n)
{
    for (size_t i = 0; i < sizeof area; i++) {
        memset(area, 0, sizeof area);
        area[i] = 1;
        bool within = area + i >= slot && area + i < slot + min_size(n, SLOT_CLEARED);
        cr_assert_eq(sees(n), within, "byte %zd of %zu", (ptrdiff_t)i - AROUND, n);
    }
}

Test(slot, every_bit_of_what_is_looked_at_counts_and_none_beside_it)
{
    for (size_t n = 16; n <= SLOT_SHORT; n += 8)
        check_seen(n);
    for (size_t n = SLOT_SHORT; n <= MOST; n += 16)
        check_seen(n);
}

Test(slot, short_ones_have_the_classes_of_their_chunks_and_spans_of_a_page)
{
    for (unsigned chunks = 1; chunks <= SLOT_SHORT_CHUNKS; chunks++) {
        cr_assert_eq(size_class_size(chunks), chunks * sizeof(slot_chunk));
        cr_assert_eq(size_class_table[chunks].pages, 1);
        cr_assert_eq(size_class_table[chunks].slots, SIZE_CLASS_PAGE / size_class_size(chunks));
    }
}
