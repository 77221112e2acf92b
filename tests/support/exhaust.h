// SPDX-License-Identifier: MIT
// All the memory there is, in a list of blocks. One thread at a time for each list.

#ifndef TESTS_SUPPORT_EXHAUST_H
#define TESTS_SUPPORT_EXHAUST_H

#include "checks.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const size_t mib = (size_t)1 << 20;

typedef struct node {
    struct node *next;
} node;

// Puts `malloc(size)` on the list until there is no more; returns how many bytes that gave. `whole`: all of
// it is written to.
static inline size_t exhaust(node **list, size_t size, bool whole)
{
    size_t sum = 0;
    errno = 0;
    for (node *l; (l = malloc(size)) != NULL; sum += size) {
        expect(errno == 0);
        memset(l, 1, whole ? size : sizeof *l);
        l->next = *list;
        *list = l;
    }
    expect(errno == ENOMEM);
    return sum;
}

static inline void free_all(node **list)
{
    for (node *next; *list != NULL; *list = next) {
        next = (*list)->next;
        free(*list);
    }
}

#endif
