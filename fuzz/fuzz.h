// SPDX-License-Identifier: MIT
// What the fuzz targets share: the input as a supply of numbers, and an assertion that fuzzers see.
// One thread at a time.

#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// abort, not exit: that is what fuzzers take for a finding.
#define expect(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            dprintf(STDERR_FILENO, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);             \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

// The entry of each target, called once for each input.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *at;
    size_t left;
};

// Zeros once the input has come to its end.
static inline unsigned input_u8(struct input *self)
{
    if (self->left == 0)
        return 0;
    self->left--;
    return *self->at++;
}

static inline unsigned input_u16(struct input *self)
{
    unsigned high = input_u8(self);
    return high << 8 | input_u8(self);
}

#endif
