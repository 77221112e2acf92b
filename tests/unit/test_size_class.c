// SPDX-License-Identifier: MIT
#include "core/size_class.h"

#include <criterion/criterion.h>

static unsigned class_by_search(size_t size)
{
    unsigned cls = 1;
    while (size_class_size(cls) < size)
        cls++;
    return cls;
}

Test(size_class, index_fits_six_bits_and_zero_is_no_class)
{
    cr_assert_leq(SIZE_CLASS_COUNT, 64);
    cr_assert_eq(size_class_size(0), 0);
    cr_assert_eq(size_class_size(1), 16);
    cr_assert_eq(size_class_size(SIZE_CLASS_COUNT - 1), SIZE_CLASS_MAX);
}

Test(size_class, sizes_grow_in_multiples_of_sixteen)
{
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++) {
        cr_assert_gt(size_class_size(cls), size_class_size(cls - 1));
        cr_assert_eq(size_class_size(cls) % 16, 0);
    }
}

Test(size_class, every_request_gets_the_smallest_class_that_holds_it)
{
    for (size_t size = 0; size <= SIZE_CLASS_MAX; size++)
        cr_assert_eq(size_class_of(size), class_by_search(size), "size %zu", size);
}

Test(size_class, small_requests_lose_less_than_sixteen_bytes)
{
    for (size_t size = 1; size <= 128; size++)
        cr_assert_lt(size_class_size(size_class_of(size)) - size, 16);
}

Test(size_class, larger_requests_lose_at_most_an_eighth_and_the_largest_a_fifth)
{
    for (size_t size = 129; size <= SIZE_CLASS_MAX; size++) {
        size_t slot = size_class_size(size_class_of(size)), parts = size <= 32768 ? 8 : 5;
        cr_assert_leq((slot - size) * parts, slot, "size %zu in %zu", size, slot);
    }
}

Test(size_class, a_short_header_before_a_power_of_two_costs_little)
{
    cr_assert_eq(size_class_size(size_class_of(256 + 16)), 256 + 16);
    cr_assert_eq(size_class_size(size_class_of(512 + 16)), 512 + 16);
}

Test(size_class, powers_of_two_fit_exactly)
{
    for (size_t size = 16; size <= SIZE_CLASS_MAX; size *= 2)
        cr_assert_eq(size_class_size(size_class_of(size)), size);
}

static size_t slots_needed(size_t size)
{
    if (size <= 256)
        return 64;
    if (size <= 1024)
        return 32;
    return size <= 8192 ? 8 : 4;
}

Test(size_class, spans_hold_enough_slots_and_waste_little)
{
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++) {
        const struct size_class_info *info = &size_class_table[cls];
        size_t bytes = (size_t)info->pages * SIZE_CLASS_PAGE;
        cr_assert_leq(info->pages, SIZE_CLASS_SPAN_PAGES_MAX);
        cr_assert_eq(info->slots, bytes / info->size);
        cr_assert_geq(info->slots, slots_needed(info->size));
        cr_assert_leq(info->slots, SIZE_CLASS_SLOTS_MAX);
        cr_assert_leq((bytes - (size_t)info->slots * info->size) * 1000, bytes * 32, "class %u", cls);
    }
}

Test(size_class, slot_equals_the_quotient_for_every_offset_in_the_span)
{
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++) {
        size_t bytes = (size_t)size_class_table[cls].pages * SIZE_CLASS_PAGE;
        for (size_t offset = 0; offset < bytes; offset++)
            if (size_class_slot(cls, offset) != offset / size_class_size(cls))
                cr_assert_fail("class %u, offset %zu", cls, offset);
    }
}

Test(size_class, batches_are_bounded_and_shrink_with_the_size)
{
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++) {
        cr_assert_geq(size_class_table[cls].batch, 2);
        cr_assert_leq(size_class_table[cls].batch, SIZE_CLASS_BATCH_MAX);
        if (cls > 1)
            cr_assert_leq(size_class_table[cls].batch, size_class_table[cls - 1].batch);
    }
}

static unsigned aligned_by_search(size_t size, size_t align)
{
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++)
        if (size_class_size(cls) >= size && size_class_size(cls) % align == 0)
            return cls;
    return 0;
}

Test(size_class, aligned_request_gets_the_smallest_class_that_suits)
{
    for (size_t align = 1; align <= SIZE_CLASS_PAGE; align *= 2)
        for (size_t size = 0; size <= SIZE_CLASS_MAX; size += 61)
            cr_assert_eq(size_class_aligned(size, align), aligned_by_search(size, align), "%zu by %zu", size,
                         align);
}

Test(size_class, aligned_request_without_a_class_gets_none)
{
    cr_assert_eq(size_class_aligned(SIZE_CLASS_MAX + 1, 16), 0);
    cr_assert_eq(size_class_aligned((size_t)-1, 16), 0);
    cr_assert_eq(size_class_aligned(16, SIZE_CLASS_PAGE * 2), 0);
    cr_assert_eq(size_class_aligned(16, (size_t)1 << 63), 0);
}
