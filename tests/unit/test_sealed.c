// SPDX-License-Identifier: MIT
#include "core/sealed.h"

#include "core/harden.h"
#include "core/init.h"
#include "core/os.h"
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>

static void start(const char *level)
{
    setenv("TARN_HARDEN", level, 1);
    cr_assert(heap_start());
}

Test(sealed, it_has_pages_of_its_own)
{
    cr_assert_eq((uintptr_t)&sealed % SEALED_PAGE, 0);
    cr_assert_eq(sizeof sealed, SEALED_PAGE);
}

Test(sealed, at_level_0_the_page_is_left_as_it_is)
{
    start("0");
    cr_assert_neq(sealed.map.base, 0);
    store_relaxed(&sealed.level, HARDEN_OFF);
}

static void start_sealed(const char *level)
{
    if (os_page_size() > SEALED_PAGE)
        raise(SIGSEGV);       // there the page is shared with others
    signal(SIGSEGV, SIG_DFL); // a sanitizer would end the process in its own way
    start(level);
    cr_assert_neq(sealed.map.base, 0);
}

Test(sealed, the_level_cannot_be_written_afterwards, .signal = SIGSEGV)
{
    start_sealed("1");
    store_relaxed(&sealed.level, HARDEN_OFF);
}

Test(sealed, nor_can_what_the_last_layers_wrote, .signal = SIGSEGV)
{
    start_sealed("2");
    cr_assert_neq(sealed.parked_bound[1], 0);
    sealed.parked_bound[1] = 1;
}
