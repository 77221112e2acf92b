// SPDX-License-Identifier: MIT
#include "core/harden.h"

#include "core/options.h"
#include "core/os.h"

_Alignas(HARDEN_PAGE) union harden harden;

void harden_init(void)
{
    uint32_t level = load_relaxed(&options.harden);
    if (level == load_relaxed(&harden.level))
        return; // the default, or a start that failed further on is tried again
    os_random(harden.secrets, sizeof harden.secrets);
    harden.secrets[1] |= 1;
    harden.sample = load_relaxed(&options.harden_sample);
    store_relaxed(&harden.level, level);
    if (os_page_size() <= HARDEN_PAGE)
        os_seal(&harden, sizeof harden);
}
