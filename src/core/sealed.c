// SPDX-License-Identifier: MIT
#include "core/sealed.h"

#include "core/bits.h"
#include "core/os.h"

_Alignas(SEALED_PAGE) union sealed sealed TABLE;

void sealed_close(void)
{
    if (os_page_size() <= SEALED_PAGE)
        os_seal(&sealed, sizeof sealed);
}
