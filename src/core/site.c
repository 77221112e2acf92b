// SPDX-License-Identifier: MIT
#include "core/site.h"

#include "core/harden.h"
#include "core/meta.h"
#include "core/os.h"
#include "core/print.h"
#include <string.h>

#define PROBES 32 // places that an address may have, one after the other

bool site_init(void)
{
    if (has_canaries() && sealed.sites == NULL)
        sealed.sites = meta_alloc(sizeof *sealed.sites << SITE_BITS, CACHE_LINE);
    return !has_canaries() || sealed.sites != NULL;
}

static bool is_place_of(atomic_uptr *place, uintptr_t address)
{
    uintptr_t there = load_relaxed(place);
    return there == address || (there == 0 && (cas_relaxed(place, &there, address) || there == address));
}

uint32_t site_number_slow(uintptr_t address)
{
    for (uint32_t i = 0; address != 0 && i < PROBES; i++) {
        uint32_t place = (site_first_place(address) + i) & SITE_MASK;
        if (place != 0 && is_place_of(&sealed.sites[place], address))
            return place;
    }
    return 0;
}

const void *site_address(uint32_t number) { return (const void *)load_relaxed(&sealed.sites[number]); }

// --- The objects that a process has mapped. The list may be as long as there are guards, so it is read piece
// by piece.

#define END (-1)

struct reader {
    int fd;
    size_t at, length;
    char text[512];
};

static int next(struct reader *self)
{
    if (self->at == self->length) {
        self->at = 0;
        self->length = os_read(self->fd, self->text, sizeof self->text);
    }
    return self->length == 0 ? END : (unsigned char)self->text[self->at++];
}

// Lines are  start-end rights offset device inode   path.
struct object {
    uintptr_t start; // where the first byte of the file lies, as far as it is mapped
    char name[128];  // the path's last part
};

// Up to and with the first character that is no digit.
static uintptr_t read_hex(struct reader *reader)
{
    uintptr_t value = 0;
    for (int c;;) {
        c = next(reader);
        if (c >= '0' && c <= '9')
            value = value << 4 | (uintptr_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uintptr_t)(c - 'a' + 10);
        else
            return value;
    }
}

static void skip_field(struct reader *reader)
{
    for (int c = next(reader); c != ' ' && c != '\n' && c != END;)
        c = next(reader);
}

// False at the end of the list.
static bool read_name(struct reader *reader, char *name, size_t size)
{
    size_t n = 0;
    int c = next(reader);
    while (c == ' ')
        c = next(reader);
    for (; c != '\n' && c != END; c = next(reader)) {
        if (c == '/')
            n = 0;
        else if (n + 1 < size)
            name[n++] = (char)c;
    }
    name[n] = '\0';
    return c != END;
}

// Looks at one line. An object's mappings follow each other, its file's beginning first. *found: the address
// lies in this one.
static bool read_mapping(struct reader *reader, uintptr_t address, struct object *object, bool *found)
{
    char name[sizeof object->name];
    uintptr_t start = read_hex(reader), end = read_hex(reader);
    skip_field(reader);
    uintptr_t offset = read_hex(reader);
    skip_field(reader);
    skip_field(reader);
    if (!read_name(reader, name, sizeof name))
        return false;
    if (name[0] != '\0' && strcmp(name, object->name) != 0) {
        memcpy(object->name, name, sizeof name);
        object->start = start - offset;
    }
    *found = name[0] != '\0' && address >= start && address < end;
    return true;
}

static bool find_object(const char *maps, uintptr_t address, struct object *object)
{
    bool found = false;
    struct reader reader = {.fd = os_open_for_reading(maps)};
    if (reader.fd < 0)
        return false;
    while (!found && read_mapping(&reader, address, object, &found))
        ;
    os_close(reader.fd);
    return found;
}

void site_print_in(struct printer *printer, const void *address, const char *maps)
{
    struct object object = {0};
    if (!find_object(maps, (uintptr_t)address, &object)) {
        print_hex(printer, (uintptr_t)address);
        return;
    }
    print_text(printer, object.name);
    print_text(printer, "+");
    print_hex(printer, (uintptr_t)address - object.start);
}
