// SPDX-License-Identifier: MIT
#include "core/harden.h"

#include "core/options.h"
#include <criterion/criterion.h>

Test(harden, the_default_level_is_off)
{
    options_load(NULL, false, NULL);
    harden_init();
    cr_assert_eq(harden_level(), HARDEN_OFF);
    cr_assert_not(is_hardened());
}

Test(harden, a_start_draws_secrets)
{
    store_relaxed(&options.harden, 2);
    harden_init();
    cr_assert_eq(harden_level(), HARDEN_CANARIES);
    cr_assert(is_hardened());
    cr_assert(sealed.secrets[0] != 0 && sealed.secrets[0] != sealed.secrets[1]);
}

Test(harden, the_sample_stands_beside_the_level)
{
    store_relaxed(&options.harden, 3);
    store_relaxed(&options.harden_sample, 500);
    harden_init();
    cr_assert(has_lone_blocks() && has_canaries());
    cr_assert_eq(sealed.sample, 500u);
}
