// SPDX-License-Identifier: MIT
#include "core/init.h"

#include "../support/dies.h"
#include "core/alloc.h"
#include "core/os.h"
#include "core/survey.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

Test(init, the_first_call_starts_the_heap)
{
    cr_assert_not(heap_has_started());
    void *p = alloc_fast(100);
    cr_assert_not_null(p);
    cr_assert(heap_has_started());
    alloc_free_fast(p);
}

Test(init, looking_does_not_start_the_heap)
{
    struct stats stats;
    survey_take(&stats);
    cr_assert_eq(stats.mapped_bytes, 0u);
    cr_assert(survey_validate());
    cr_assert_eq(alloc_collect(), 0u);
    alloc_free_fast(NULL);
    cr_assert_eq(alloc_good_size(100), 112u);
    cr_assert_not(heap_has_started());
}

Test(init, starting_twice_is_starting_once)
{
    cr_assert(heap_start());
    void *p = alloc_fast(1);
    cr_assert(heap_start());
    alloc_free_fast(p);
    cr_assert(survey_validate());
}

enum { CROWD = 8 };
static pthread_barrier_t together;

static void *first_use(void *arg)
{
    pthread_barrier_wait(&together);
    char *p = alloc_fast(64);
    cr_assert_not_null(p);
    *p = 1;
    *(void **)arg = p;
    return NULL;
}

Test(init, threads_that_start_together_share_one_heap)
{
    pthread_t threads[CROWD];
    void *blocks[CROWD];
    pthread_barrier_init(&together, NULL, CROWD);
    for (int i = 0; i < CROWD; i++)
        pthread_create(&threads[i], NULL, first_use, &blocks[i]);
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    struct stats stats;
    survey_take(&stats);
    cr_assert_eq(stats.live_bytes, CROWD * 64u);
    for (int i = 0; i < CROWD; i++)
        alloc_free_fast(blocks[i]);
    cr_assert(survey_validate());
}

static void start_with_fault(void *arg)
{
    uint32_t n = *(uint32_t *)arg;
    os_fail_nth(n);
    errno = 0;
    void *p = alloc_fast(100);
    bool hit = os_fallible_calls() >= n;
    os_fail_nth(0);
    if (!survey_validate() || (p == NULL && (errno != ENOMEM || alloc_fast(100) == NULL)))
        abort();
    if (!survey_validate())
        abort();
    _exit(hit ? 0 : 1);
}

// Every step of the start fails once; that call may fail, the next one starts anew.
Test(init, a_refused_start_is_tried_again)
{
    char text[1024];
    for (uint32_t n = 1;; n++) {
        int status = run_in_child(start_with_fault, &n, text, sizeof text);
        cr_assert(WIFEXITED(status), "fault %u: %s", n, text);
        cr_assert_str_eq(text, "");
        if (WEXITSTATUS(status) != 0) {
            cr_assert_gt(n, 4u);
            break;
        }
    }
    cr_assert_not(heap_has_started());
}
