// SPDX-License-Identifier: MIT
// An intake: many threads push nodes and never wait, one drains them. It wraps liburcu's wait-free stack.
// intake_push, intake_is_empty: any thread. The others: whoever holds the lock that the intake belongs to.
#ifndef TARN_CORE_INTAKE_H
#define TARN_CORE_INTAKE_H

#include <stdbool.h>
#include <urcu/wfstack.h>

struct intake_node {
    struct cds_wfs_node link;
};

// A node is in the stack, or in the chain that starts at `taken`, or drained.
struct intake {
    struct __cds_wfs_stack stack;
    struct cds_wfs_node *taken;
};

void intake_init(struct intake *self);
void intake_push(struct intake *self, struct intake_node *node);
// True when nothing was pushed since the last drain began.
bool intake_is_empty(struct intake *self);
// The same, and nothing is left of what was taken then.
bool intake_is_drained(struct intake *self);
// One node, or NULL when there is none or when the next one's push has been begun but is not linked yet: its
// pusher looks again.
struct intake_node *intake_drain(struct intake *self);
// The same in a child of fork, where a push that was only begun will never be linked and ends the chain.
struct intake_node *intake_drain_after_fork(struct intake *self);

#endif
