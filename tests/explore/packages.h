// SPDX-License-Identifier: MIT
// Included before every source that is explored: the steps of liburcu's stack and of ck's go through the
// explorer too. Any thread.
#ifndef TESTS_EXPLORE_PACKAGES_H
#define TESTS_EXPLORE_PACKAGES_H

#define _GNU_SOURCE // as the sources that need it say, but later

void explore_step(const char *file, int line);
#define PACKAGE_STEP explore_step(__FILE__, __LINE__)

#define _LGPL_SOURCE // liburcu's functions are inlined then
#include <urcu/system.h>
#include <urcu/uatomic.h>
#undef uatomic_xchg
#define uatomic_xchg(p, v) (PACKAGE_STEP, __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST))
#undef CMM_LOAD_SHARED
#define CMM_LOAD_SHARED(p) (PACKAGE_STEP, __atomic_load_n(&(p), __ATOMIC_RELAXED))
#undef CMM_STORE_SHARED
#define CMM_STORE_SHARED(p, v) (PACKAGE_STEP, __atomic_store_n(&(p), (v), __ATOMIC_RELAXED))

#include <ck_pr.h>
#undef ck_pr_load_ptr
#define ck_pr_load_ptr(p) (PACKAGE_STEP, CK_PR_LOAD_PTR_SAFE(p))
#define ck_pr_cas_ptr_value(p, before, after, found)                                                         \
    (PACKAGE_STEP, (ck_pr_cas_ptr_value)((p), (before), (after), (found)))

#endif
