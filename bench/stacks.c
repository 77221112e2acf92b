// SPDX-License-Identifier: MIT
// What the lock-free stacks of two packages cost beside a plain C11 word: threads push nodes one by one and,
// when one has none left, it takes all that lie in the stack, as the page heap's intake is used.
//
// usage: stacks [THREADS [PUSHES]]     prints nanoseconds of processor time for each node pushed and taken,
//                                      the median of several rounds that take turns

#include "core/atomics.h"
#include <ck_stack.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <urcu/lfstack.h>
#include <urcu/wfstack.h>

// Each word that threads share has two cache lines to itself: its neighbour would be measured with it.
#define APART 128

enum { MOST_THREADS = 64, NODES_EACH = 64, ROUNDS = 9 };

struct node {
    union {
        struct cds_wfs_node wait_free;
        struct cds_lfs_node lock_free;
        ck_stack_entry_t ck;
        struct node *below;
    };
    struct node *next; // in a thread's own list
};

// Each kind pushes one node, and moves all that it finds to a thread's own list.
struct kind {
    const char *name;
    void (*push)(struct node *node);
    struct node *(*take_all)(void);
};

static _Alignas(APART) struct __cds_wfs_stack wait_free;
static _Alignas(APART) struct __cds_lfs_stack lock_free;
static _Alignas(APART) ck_stack_t ck = CK_STACK_INITIALIZER;
static _Alignas(APART) _Atomic(struct node *) word;
static _Alignas(APART)
    pthread_mutex_t draining = PTHREAD_MUTEX_INITIALIZER; // as the stripe's lock, for every kind

static void push_wait_free(struct node *node)
{
    cds_wfs_node_init(&node->wait_free);
    cds_wfs_push((cds_wfs_stack_ptr_t){._s = &wait_free}, &node->wait_free);
}

static struct node *take_wait_free(void)
{
    struct node *list = NULL;
    struct cds_wfs_head *head = __cds_wfs_pop_all((cds_wfs_stack_ptr_t){._s = &wait_free});
    for (struct cds_wfs_node *at = head == NULL ? NULL : cds_wfs_first(head); at != NULL;) {
        struct node *node = (struct node *)(void *)at;
        at = cds_wfs_next_blocking(at);
        node->next = list;
        list = node;
    }
    return list;
}

static void push_lock_free(struct node *node)
{
    cds_lfs_push((cds_lfs_stack_ptr_t){._s = &lock_free}, &node->lock_free);
}

static struct node *take_lock_free(void)
{
    struct node *list = NULL;
    struct cds_lfs_head *head = __cds_lfs_pop_all((cds_lfs_stack_ptr_t){._s = &lock_free});
    for (struct cds_lfs_node *at = head == NULL ? NULL : &head->node; at != NULL;) {
        struct node *node = (struct node *)(void *)at;
        at = at->next;
        node->next = list;
        list = node;
    }
    return list;
}

static void push_ck(struct node *node) { ck_stack_push_upmc(&ck, &node->ck); }

static struct node *take_ck(void)
{
    struct node *list = NULL;
    for (ck_stack_entry_t *entry = ck_stack_batch_pop_upmc(&ck); entry != NULL;) {
        struct node *node = (struct node *)(void *)entry;
        entry = entry->next;
        node->next = list;
        list = node;
    }
    return list;
}

static void push_word(struct node *node)
{
    struct node *below = load_relaxed(&word);
    do
        node->below = below;
    while (!cas_weak_acq_rel(&word, &below, node));
}

static struct node *take_word(void)
{
    struct node *list = NULL;
    for (struct node *node = exchange_acquire(&word, NULL); node != NULL;) {
        struct node *below = node->below;
        node->next = list;
        list = node;
        node = below;
    }
    return list;
}

static const struct kind kinds[] = {

    {"liburcu lock-free", push_lock_free, take_lock_free},
    {"liburcu wait-free", push_wait_free, take_wait_free},
    {"ck", push_ck, take_ck},
    {"C11 word", push_word, take_word},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static _Alignas(APART) const struct kind *running;
static unsigned long pushes_each;
static struct node nodes[MOST_THREADS][NODES_EACH];

static struct node *take_locked(void)
{
    pthread_mutex_lock(&draining);
    struct node *list = running->take_all();
    pthread_mutex_unlock(&draining);
    if (list == NULL)
        sched_yield();
    return list;
}

static void *push_and_take(void *own)
{
    struct node *list = NULL;
    for (int i = 0; i < NODES_EACH; i++) {
        struct node *node = &((struct node *)own)[i];
        node->next = list;
        list = node;
    }
    for (unsigned long i = 0; i < pushes_each; i++) {
        while (list == NULL)
            list = take_locked();
        struct node *node = list;
        list = node->next;
        running->push(node);
    }
    while (list != NULL) { // for those that still wait for nodes
        struct node *node = list;
        list = node->next;
        running->push(node);
    }
    return NULL;
}

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double nanoseconds(const struct kind *kind, unsigned threads, unsigned long pushes)
{
    pthread_t thread[MOST_THREADS];
    running = kind;
    double start = processor_seconds();
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, push_and_take, nodes[i]) != 0)
            abort();
    for (unsigned i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    double used = processor_seconds() - start;
    kind->take_all();
    return used * 1e9 / (double)pushes;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    unsigned threads = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 2;
    unsigned long pushes = argc > 2 ? strtoul(argv[2], NULL, 10) : 4000000;
    double times[KINDS][ROUNDS];
    if (threads == 0 || threads > MOST_THREADS)
        return 2;
    pushes_each = pushes / threads;
    __cds_wfs_init(&wait_free);
    __cds_lfs_init(&lock_free);
    for (int round = 0; round < ROUNDS; round++)
        for (int k = 0; k < KINDS; k++)
            times[k][round] = nanoseconds(&kinds[k], threads, pushes);
    for (int k = 0; k < KINDS; k++) {
        qsort(times[k], ROUNDS, sizeof times[k][0], by_value);
        printf("%-18s %6.1f ns (%.1f to %.1f)\n", kinds[k].name, times[k][ROUNDS / 2], times[k][0],
               times[k][ROUNDS - 1]);
    }
    return 0;
}
