// SPDX-License-Identifier: MIT
#include "core/harden.h"

#include "core/options.h"
#include "core/os.h"

void harden_init(void)
{
    uint32_t level = load_relaxed(&options.harden);
    // The first access to the page writes: a read before would cost it a fault of its own.
    if (level == exchange_relaxed(&sealed.level, level))
        return; // the default, or a start that failed further on is tried again
    os_random(sealed.secrets, sizeof sealed.secrets);
    sealed.secrets[1] |= 1;
    sealed.sample = load_relaxed(&options.harden_sample);
}
