// SPDX-License-Identifier: MIT
#include "core/harden.h"

#include "core/options.h"
#include "core/os.h"
#include <criterion/criterion.h>
#include <signal.h>

Test(harden, the_default_level_is_off)
{
    options_load(NULL, false, NULL);
    harden_init();
    cr_assert_eq(harden_level(), HARDEN_OFF);
    cr_assert_not(is_hardened());
    store_relaxed(&harden.level, HARDEN_OFF); // its page was left as it is
}

Test(harden, a_start_draws_secrets)
{
    store_relaxed(&options.harden, 2);
    harden_init();
    cr_assert_eq(harden_level(), HARDEN_CANARIES);
    cr_assert(is_hardened());
    cr_assert(harden.secrets[0] != 0 && harden.secrets[0] != harden.secrets[1]);
}

Test(harden, the_level_cannot_be_written_afterwards, .signal = SIGSEGV)
{
    if (os_page_size() > HARDEN_PAGE)
        raise(SIGSEGV);       // there the page is shared with others
    signal(SIGSEGV, SIG_DFL); // a sanitizer would end the process in its own way
    store_relaxed(&options.harden, 1);
    harden_init();
    store_relaxed(&harden.level, HARDEN_OFF);
}

Test(harden, the_sample_stands_beside_the_level)
{
    store_relaxed(&options.harden, 3);
    store_relaxed(&options.harden_sample, 500);
    harden_init();
    cr_assert(has_lone_blocks() && has_canaries());
    cr_assert_eq(harden.sample, 500u);
}
