// SPDX-License-Identifier: MIT
#include "core/print.h"

#include <string.h>

#include "core/os.h"

// The longest number is that of 64 bits in decimal, with its sign and the terminator.
enum { NUMBER_MAX = 24 };

struct number {
    char digits[NUMBER_MAX];
    char *text; // into digits, terminated
};

static void sink_to_fd(void *arg, const char *text, size_t n)
{
    os_write((int)(intptr_t)arg, text, n); // there is nobody to tell that it failed
}

void printer_init(struct printer *self, void (*sink)(void *arg, const char *text, size_t n), void *arg)
{
    self->sink = sink;
    self->arg = arg;
    self->used = 0;
}

void printer_init_fd(struct printer *self, int fd) { printer_init(self, sink_to_fd, (void *)(intptr_t)fd); }

void print_flush(struct printer *self)
{
    if (self->used != 0)
        self->sink(self->arg, self->buffer, self->used);
    self->used = 0;
}

void print_bytes(struct printer *self, const char *text, size_t n)
{
    while (n != 0) {
        size_t room = sizeof self->buffer - self->used;
        size_t part = n < room ? n : room;
        memcpy(self->buffer + self->used, text, part);
        self->used += part;
        if (self->used == sizeof self->buffer)
            print_flush(self);
        text += part;
        n -= part;
    }
}

void print_text(struct printer *self, const char *text) { print_bytes(self, text, strlen(text)); }

// Numbers are built from their last digit, so `text` moves towards the start of `digits`.
static void number_begin(struct number *self)
{
    self->text = self->digits + NUMBER_MAX - 1;
    *self->text = '\0';
}

static void number_prepend(struct number *self, uint64_t value, unsigned base)
{
    do {
        *--self->text = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
}

void print_u64(struct printer *self, uint64_t value) { print_u64_padded(self, value, 0); }

void print_i64(struct printer *self, int64_t value)
{
    if (value < 0)
        print_text(self, "-");
    // Negated as unsigned, because the most negative value has no positive twin.
    print_u64(self, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void print_hex(struct printer *self, uintptr_t value)
{
    struct number number;
    number_begin(&number);
    number_prepend(&number, value, 16);
    print_text(self, "0x");
    print_text(self, number.text);
}

static const char UNITS[] = "KMGTPE";
enum { UNIT_SHIFT = 10, UNIT_LAST = sizeof UNITS - 2 };

// value / 2^shift in tenths, rounded; shift is a unit's, so ten times the remainder fits.
static uint64_t tenths_of(uint64_t value, unsigned shift)
{
    uint64_t rest = value & ((UINT64_C(1) << shift) - 1);
    return (value >> shift) * 10 + (rest * 10 + (UINT64_C(1) << (shift - 1))) / (UINT64_C(1) << shift);
}

static void number_from_size(struct number *self, uint64_t bytes)
{
    number_begin(self);
    if (bytes >> UNIT_SHIFT == 0) {
        number_prepend(self, bytes, 10);
        return;
    }
    unsigned unit = 0;
    uint64_t tenths = tenths_of(bytes, UNIT_SHIFT);
    while (tenths >= 10 << UNIT_SHIFT && unit < UNIT_LAST)
        tenths = tenths_of(bytes, UNIT_SHIFT * (++unit + 1));
    *--self->text = UNITS[unit];
    if (tenths % 10 != 0) {
        number_prepend(self, tenths % 10, 10);
        *--self->text = '.';
    }
    number_prepend(self, tenths / 10, 10);
}

void print_size(struct printer *self, uint64_t bytes) { print_size_padded(self, bytes, 0); }

void print_size_exact(struct printer *self, uint64_t bytes)
{
    unsigned units = 0;
    while (bytes != 0 && bytes % (1 << UNIT_SHIFT) == 0 && units <= UNIT_LAST) {
        bytes >>= UNIT_SHIFT;
        units++;
    }
    print_u64(self, bytes);
    if (units != 0)
        print_bytes(self, &UNITS[units - 1], 1);
}

static void print_spaces(struct printer *self, size_t n)
{
    while (n-- != 0)
        print_bytes(self, " ", 1);
}

void print_padded(struct printer *self, const char *text, int width)
{
    size_t length = strlen(text);
    size_t column = width < 0 ? 0 - (size_t)width : (size_t)width;
    size_t spaces = column > length ? column - length : 0;
    print_spaces(self, width > 0 ? spaces : 0);
    print_bytes(self, text, length);
    print_spaces(self, width < 0 ? spaces : 0);
}

void print_u64_padded(struct printer *self, uint64_t value, int width)
{
    struct number number;
    number_begin(&number);
    number_prepend(&number, value, 10);
    print_padded(self, number.text, width);
}

void print_size_padded(struct printer *self, uint64_t bytes, int width)
{
    struct number number;
    number_from_size(&number, bytes);
    print_padded(self, number.text, width);
}

void print_memory_sink(void *memory, const char *text, size_t n)
{
    struct print_memory *self = memory;
    size_t room = self->length < self->size ? self->size - self->length : 0;
    if (room != 0) {
        size_t part = n < room ? n : room - 1;
        memcpy(self->text + self->length, text, part);
        self->text[self->length + part] = '\0';
    }
    self->length += n;
}
