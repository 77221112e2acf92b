// SPDX-License-Identifier: MIT
#include "buddy/buddy.h"

#include <string.h>

static size_t node_of(size_t page, unsigned order) { return (ZONE_PAGES + page) >> order; }
static unsigned order_of(size_t node) { return BUDDY_TOP_ORDER - bits_highest(node); }
static size_t page_of_node(size_t node) { return (node << order_of(node)) - ZONE_PAGES; }

static void set_node(struct buddy *self, size_t node)
{
    self->nodes[node / 64] |= UINT64_C(1) << (node % 64);
    self->free[order_of(node)]++;
}

static void clear_node(struct buddy *self, size_t node)
{
    self->nodes[node / 64] &= ~(UINT64_C(1) << (node % 64));
    self->free[order_of(node)]--;
}

void buddy_init_empty(struct buddy *self) { memset(self, 0, sizeof *self); }

void buddy_init_full(struct buddy *self)
{
    buddy_init_empty(self);
    set_node(self, 1);
}

static void give_block(struct buddy *self, size_t page, unsigned order)
{
    size_t node = node_of(page, order);
    while (node > 1 && bits_test(self->nodes, node ^ 1)) {
        clear_node(self, node ^ 1);
        node /= 2;
    }
    set_node(self, node);
}

void buddy_give(struct buddy *self, size_t first, size_t n)
{
    while (n > 0) {
        unsigned order = bits_highest(n);
        if (first != 0 && bits_lowest(first) < order)
            order = bits_lowest(first);
        give_block(self, first, order);
        first += (size_t)1 << order;
        n -= (size_t)1 << order;
    }
}

static size_t lowest_node(const struct buddy *self, unsigned order)
{
    size_t first = node_of(0, order);
    return bits_find_set(self->nodes, first, 2 * first);
}

size_t buddy_find(const struct buddy *self, size_t n, size_t align)
{
    unsigned order = buddy_order(n, align);
    while (order < BUDDY_ORDERS && self->free[order] == 0)
        order++;
    return order < BUDDY_ORDERS ? page_of_node(lowest_node(self, order)) : BUDDY_NONE;
}

size_t buddy_find_exact(const struct buddy *self, unsigned order, size_t from)
{
    size_t end = node_of(ZONE_PAGES, order);
    if (self->free[order] == 0)
        return BUDDY_NONE;
    size_t node = bits_find_set(self->nodes, node_of(from + ((size_t)1 << order) - 1, order), end);
    return node < end ? page_of_node(node) : BUDDY_NONE;
}

// The free block that covers a free page.
static size_t covering_node(const struct buddy *self, size_t page)
{
    size_t node = node_of(page, 0);
    while (!bits_test(self->nodes, node))
        node /= 2;
    return node;
}

void buddy_take_at(struct buddy *self, size_t first, size_t n)
{
    size_t end = first + n;
    while (first < end) {
        size_t node = covering_node(self, first);
        size_t start = page_of_node(node);
        size_t stop = start + ((size_t)1 << order_of(node));
        clear_node(self, node);
        if (start < first)
            buddy_give(self, start, first - start);
        if (stop > end)
            buddy_give(self, end, stop - end);
        first = stop;
    }
}

int buddy_largest(const struct buddy *self)
{
    int order = BUDDY_TOP_ORDER;
    while (order >= 0 && self->free[order] == 0)
        order--;
    return order;
}

size_t buddy_free_pages(const struct buddy *self)
{
    size_t pages = 0;
    for (unsigned order = 0; order < BUDDY_ORDERS; order++)
        pages += (size_t)self->free[order] << order;
    return pages;
}

// The lowest free block whose node is at least `node`, or 2 * ZONE_PAGES.
static size_t next_node(const struct buddy *self, size_t node)
{
    return bits_find_set(self->nodes, node, 2 * ZONE_PAGES);
}

void buddy_mark_free(const struct buddy *self, uint64_t pages[ZONE_PAGES / 64])
{
    for (size_t node = next_node(self, 1); node < 2 * ZONE_PAGES; node = next_node(self, node + 1))
        bits_set_range(pages, page_of_node(node), (size_t)1 << order_of(node));
}

static bool node_is_sound(const struct buddy *self, size_t node)
{
    for (size_t above = node / 2; above > 0; above /= 2)
        if (bits_test(self->nodes, above))
            return false;
    return node == 1 || !bits_test(self->nodes, node ^ 1);
}

bool buddy_validate(const struct buddy *self)
{
    for (size_t node = next_node(self, 1); node < 2 * ZONE_PAGES; node = next_node(self, node + 1))
        if (!node_is_sound(self, node))
            return false;
    for (unsigned order = 0; order < BUDDY_ORDERS; order++) {
        size_t first = node_of(0, order);
        if (bits_count_range(self->nodes, first, first) != self->free[order])
            return false;
    }
    return !bits_test(self->nodes, 0);
}
