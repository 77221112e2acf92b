// SPDX-License-Identifier: MIT
// A printer: text and numbers into a small buffer that empties into a sink. No stdio, no locale, no
// allocation. A printer belongs to one thread; different printers are independent.
#ifndef TARN_CORE_PRINT_H
#define TARN_CORE_PRINT_H

#include <stddef.h>
#include <stdint.h>

// A line shorter than the buffer reaches the sink in one piece, so lines of several threads do not mix.
struct printer {
    void (*sink)(void *arg, const char *text, size_t n);
    void *arg;
    size_t used; // used < sizeof buffer
    char buffer[256];
};

void printer_init(struct printer *self, void (*sink)(void *arg, const char *text, size_t n), void *arg);
void printer_init_fd(struct printer *self, int fd);

void print_bytes(struct printer *self, const char *text, size_t n);
void print_text(struct printer *self, const char *text);
void print_u64(struct printer *self, uint64_t value);
void print_i64(struct printer *self, int64_t value);
// 0x and as many lower-case digits as needed.
void print_hex(struct printer *self, uintptr_t value);
// For people: 1000, 1.5M, 64G. Units are powers of 1024; at most one decimal, rounded.
void print_size(struct printer *self, uint64_t bytes);
// For reading back: the largest unit that loses nothing, so 65536 is 64K and 65537 is 65537.
void print_size_exact(struct printer *self, uint64_t bytes);

// In a column of at least |width| characters: to the right of it if width > 0, to the left if width < 0.
void print_padded(struct printer *self, const char *text, int width);
void print_u64_padded(struct printer *self, uint64_t value, int width);
void print_size_padded(struct printer *self, uint64_t bytes, int width);

void print_flush(struct printer *self);

// A sink that fills the caller's memory: always terminated, `length` counts what would have fitted a larger
// one.
struct print_memory {
    char *text;
    size_t size; // of text, with the terminator; size > 0
    size_t length;
};

void print_memory_sink(void *memory, const char *text, size_t n);

#endif
