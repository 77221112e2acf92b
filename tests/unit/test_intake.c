// SPDX-License-Identifier: MIT
#include "core/intake.h"

#include "core/atomics.h"
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <urcu/uatomic.h>

enum { NODES = 4000, PUSHERS = 6 };

struct item {
    unsigned number; // plain: the push has to carry it over
    struct intake_node node;
};

static struct intake intake;
static struct item items[PUSHERS][NODES];
static atomic_u32 pushers_done;

static void init(void) { intake_init(&intake); }

TestSuite(intake, .init = init);

static struct item *item_of(struct intake_node *node)
{
    return (struct item *)(void *)((char *)node - offsetof(struct item, node));
}

static unsigned drain_number(struct intake_node *(*drain)(struct intake *self))
{
    struct intake_node *node = drain(&intake);
    return node == NULL ? 0 : item_of(node)->number;
}

static void push(unsigned number)
{
    items[0][number].number = number;
    intake_push(&intake, &items[0][number].node);
}

Test(intake, starts_empty)
{
    cr_assert(intake_is_empty(&intake));
    cr_assert(intake_is_drained(&intake));
    cr_assert_null(intake_drain(&intake));
    cr_assert_null(intake_drain_after_fork(&intake));
}

Test(intake, what_was_pushed_comes_out_once)
{
    bool seen[101] = {false};
    for (unsigned i = 1; i <= 100; i++)
        push(i);
    for (unsigned i = 1; i <= 100; i++) {
        unsigned number = drain_number(intake_drain);
        cr_assert(number >= 1 && number <= 100 && !seen[number]);
        seen[number] = true;
    }
    cr_assert_null(intake_drain(&intake));
}

Test(intake, is_empty_counts_from_the_start_of_the_last_drain)
{
    push(1);
    push(2);
    cr_assert_not(intake_is_empty(&intake));
    cr_assert_not(intake_is_drained(&intake));
    cr_assert_not_null(intake_drain(&intake));
    cr_assert(intake_is_empty(&intake));
    cr_assert_not(intake_is_drained(&intake));
    push(3);
    cr_assert_not(intake_is_empty(&intake));
    cr_assert_not_null(intake_drain(&intake));
    cr_assert_not_null(intake_drain(&intake));
    cr_assert_null(intake_drain(&intake));
    cr_assert(intake_is_empty(&intake));
    cr_assert(intake_is_drained(&intake));
}

Test(intake, a_drained_node_can_be_pushed_again)
{
    push(1);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(drain_number(intake_drain), 1);
        cr_assert_null(intake_drain(&intake));
        push(1);
    }
}

// The two steps of a push, so that a test can stop between them.
static struct cds_wfs_head *push_begin(unsigned number)
{
    struct item *item = &items[0][number];
    item->number = number;
    item->node.link.next = NULL;
    return uatomic_xchg(&intake.stack.head, (struct cds_wfs_head *)(void *)&item->node.link);
}

static void push_end(unsigned number, struct cds_wfs_head *below)
{
    items[0][number].node.link.next = &below->node;
}

Test(intake, a_push_that_was_only_begun_stops_the_drain)
{
    push(1);
    struct cds_wfs_head *below = push_begin(2);
    push(3);
    cr_assert_eq(drain_number(intake_drain), 3);
    cr_assert_null(intake_drain(&intake));
    push(4); // waits behind the chain that was taken
    cr_assert_null(intake_drain(&intake));
    cr_assert_not(intake_is_empty(&intake));
    push_end(2, below);
    cr_assert_eq(drain_number(intake_drain), 2);
    cr_assert_eq(drain_number(intake_drain), 1);
    cr_assert_eq(drain_number(intake_drain), 4);
    cr_assert_null(intake_drain(&intake));
}

Test(intake, after_fork_a_begun_push_ends_its_chain_and_no_other)
{
    push(1);
    push_begin(2); // its thread is gone, and with it the way to 1
    push(3);
    cr_assert_eq(drain_number(intake_drain), 3);
    push(4);
    cr_assert_eq(drain_number(intake_drain_after_fork), 2);
    cr_assert_eq(drain_number(intake_drain_after_fork), 4);
    cr_assert_null(intake_drain_after_fork(&intake));
}

Test(intake, after_fork_whole_chains_come_out_whole)
{
    for (unsigned i = 1; i <= 5; i++)
        push(i);
    unsigned sum = drain_number(intake_drain);
    for (unsigned number; (number = drain_number(intake_drain_after_fork)) != 0;)
        sum += number;
    cr_assert_eq(sum, 15);
}

static void *push_all(void *arg)
{
    struct item *mine = arg;
    for (unsigned i = 0; i < NODES; i++) {
        mine[i].number = i + 1;
        intake_push(&intake, &mine[i].node);
        if (i % 50 == 0)
            sched_yield();
    }
    fetch_add_relaxed(&pushers_done, 1);
    return NULL;
}

static size_t drain_and_mark(void)
{
    size_t n = 0;
    for (struct intake_node *node; (node = intake_drain(&intake)) != NULL; n++) {
        cr_assert_neq(item_of(node)->number, 0, "a node came out twice, or before it was written");
        item_of(node)->number = 0;
    }
    return n;
}

Test(intake, many_pushers_one_drainer, .timeout = 60)
{
    pthread_t threads[PUSHERS];
    size_t drained = 0;
    for (int i = 0; i < PUSHERS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, push_all, items[i]), 0);
    while (load_relaxed(&pushers_done) != PUSHERS) {
        drained += drain_and_mark();
        sched_yield();
    }
    for (int i = 0; i < PUSHERS; i++)
        pthread_join(threads[i], NULL);
    drained += drain_and_mark();
    cr_assert_eq(drained, PUSHERS * NODES);
    cr_assert(intake_is_empty(&intake));
}
