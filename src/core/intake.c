// SPDX-License-Identifier: MIT
#include "core/intake.h"

#include "core/tsan.h"
#include <stddef.h>

static cds_wfs_stack_ptr_t stack_of(struct intake *self) { return (cds_wfs_stack_ptr_t){._s = &self->stack}; }

void intake_init(struct intake *self)
{
    __cds_wfs_init(&self->stack);
    self->taken = NULL;
}

// liburcu's exchange is a full barrier on both sides; its code is not instrumented, so ThreadSanitizer is
// told that what was written before a push happens before what follows the drain.
void intake_push(struct intake *self, struct intake_node *node)
{
    cds_wfs_node_init(&node->link);
    tsan_release(self);
    cds_wfs_push(stack_of(self), &node->link);
}

bool intake_is_empty(struct intake *self) { return cds_wfs_empty(stack_of(self)); }

bool intake_is_drained(struct intake *self) { return self->taken == NULL && intake_is_empty(self); }

static bool refill_taken(struct intake *self)
{
    if (self->taken != NULL)
        return true;
    if (intake_is_empty(self)) // an exchange only where there is something to take
        return false;
    struct cds_wfs_head *head = __cds_wfs_pop_all(stack_of(self));
    tsan_acquire(self);
    self->taken = head == NULL ? NULL : cds_wfs_first(head);
    return self->taken != NULL;
}

static struct intake_node *advance(struct intake *self, struct cds_wfs_node *next)
{
    struct cds_wfs_node *node = self->taken;
    self->taken = next;
    return (struct intake_node *)node;
}

struct intake_node *intake_drain(struct intake *self)
{
    if (!refill_taken(self))
        return NULL;
    struct cds_wfs_node *next = cds_wfs_next_nonblocking(self->taken);
    return next == CDS_WFS_WOULDBLOCK ? NULL : advance(self, next);
}

struct intake_node *intake_drain_after_fork(struct intake *self)
{
    if (!refill_taken(self))
        return NULL;
    struct cds_wfs_node *next = cds_wfs_next_nonblocking(self->taken);
    return advance(self, next == CDS_WFS_WOULDBLOCK ? NULL : next);
}
