// SPDX-License-Identifier: MIT
#include "core/misuse.h"

#include "core/print.h"
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static void begin(struct printer *line, const char *call, const void *p)
{
    printer_init_fd(line, STDERR_FILENO);
    print_text(line, "tarn: ");
    print_text(line, call);
    print_text(line, " of ");
    print_hex(line, (uintptr_t)p);
}

static void tell_site(struct printer *line, const char *what, const void *site)
{
    if (site == NULL)
        return;
    print_text(line, what);
    site_print_in(line, site, "/proc/self/maps");
}

static _Noreturn void end(struct printer *line, struct sites sites)
{
    tell_site(line, ", allocated at ", sites.allocated);
    tell_site(line, ", freed at ", sites.freed);
    print_text(line, "\n");
    print_flush(line);
    abort();
}

void misuse_double_free(const void *p, struct sites sites)
{
    struct printer line;
    begin(&line, "double free", p);
    end(&line, sites);
}

void misuse_foreign(const char *call, const void *p)
{
    struct printer line;
    begin(&line, call, p);
    print_text(&line, ", which tarn did not allocate");
    end(&line, NO_SITES);
}

void misuse_interior(const char *call, const void *p, const void *block, struct sites sites)
{
    struct printer line;
    begin(&line, call, p);
    print_text(&line, ", which lies inside the block at ");
    print_hex(&line, (uintptr_t)block);
    end(&line, sites);
}

static _Noreturn void end_with_slot(struct printer *line, size_t slot, struct sites sites)
{
    print_u64(line, slot);
    print_text(line, " bytes");
    end(line, sites);
}

void misuse_overrun(const void *p, size_t slot, struct sites sites)
{
    struct printer line;
    begin(&line, "overrun", p);
    print_text(&line, ", in a slot of ");
    end_with_slot(&line, slot, sites);
}

void misuse_underrun(const void *p, struct sites sites)
{
    struct printer line;
    begin(&line, "underrun", p);
    end(&line, sites);
}

void misuse_written_after_free(const void *p, size_t slot, struct sites sites)
{
    struct printer line;
    begin(&line, "use after free", p);
    print_text(&line, ": written to, in a slot of ");
    end_with_slot(&line, slot, sites);
}

void misuse_size(const char *call, const void *p, size_t size, size_t holds, struct sites sites)
{
    struct printer line;
    begin(&line, call, p);
    print_text(&line, " with size ");
    print_u64(&line, size);
    print_text(&line, ", but its block holds ");
    print_u64(&line, holds);
    print_text(&line, " bytes");
    end(&line, sites);
}
