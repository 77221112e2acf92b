// SPDX-License-Identifier: MIT
// Views of text that somebody else owns, and the words and numbers found in them.
// Any thread may call these at any time: nothing here has state.
#ifndef COMMON_SLICE_H
#define COMMON_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice {
    const char *data;
    size_t length;
};

#define SLICE_INIT(literal)                                                                                  \
    {                                                                                                        \
        literal, sizeof(literal) - 1                                                                         \
    }
#define SLICE(literal) ((struct slice)SLICE_INIT(literal))

bool slice_equal(struct slice a, struct slice b);

// Takes the next blank-separated word off the front of `rest`; an empty word means there is none.
struct slice slice_take_word(struct slice *rest);

// Takes everything up to the next `end` off the front of `rest`, and that character too; all of it when there
// is none.
struct slice slice_take_until(struct slice *rest, char end);

// The whole slice must be one decimal number that fits.
bool slice_to_uint64(struct slice self, uint64_t *value);
bool slice_to_int64(struct slice self, int64_t *value);
bool slice_to_uint32(struct slice self, uint32_t *value);

// A size such as 100, 4k or 2m.
bool slice_to_size(struct slice self, uint64_t *value);

#endif
