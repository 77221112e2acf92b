// SPDX-License-Identifier: MIT
#include "common/slice.h"

#include <string.h>

bool slice_equal(struct slice a, struct slice b)
{
    return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

struct slice slice_take_word(struct slice *rest)
{
    const char *at = rest->data, *end = rest->data + rest->length;
    while (at < end && *at == ' ')
        at++;
    const char *word = at;
    while (at < end && *at != ' ')
        at++;
    *rest = (struct slice){at, (size_t)(end - at)};
    return (struct slice){word, (size_t)(at - word)};
}

struct slice slice_take_until(struct slice *rest, char end)
{
    const char *found = rest->length ? memchr(rest->data, end, rest->length) : NULL;
    struct slice part = {rest->data, found ? (size_t)(found - rest->data) : rest->length};
    size_t taken = part.length + (found != NULL);
    *rest = (struct slice){rest->data + taken, rest->length - taken};
    return part;
}

bool slice_to_uint64(struct slice self, uint64_t *value)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < self.length; i++) {
        unsigned digit = (unsigned)(unsigned char)self.data[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, digit, &sum))
            return false;
    }
    *value = sum;
    return self.length > 0;
}

bool slice_to_int64(struct slice self, int64_t *value)
{
    bool negative = self.length > 0 && self.data[0] == '-';
    uint64_t magnitude;
    if (!slice_to_uint64((struct slice){self.data + negative, self.length - negative}, &magnitude))
        return false;
    if (magnitude > INT64_MAX)
        return false;
    *value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return true;
}

bool slice_to_uint32(struct slice self, uint32_t *value)
{
    uint64_t wide;
    if (!slice_to_uint64(self, &wide) || wide > UINT32_MAX)
        return false;
    *value = (uint32_t)wide;
    return true;
}

static unsigned unit_shift(char unit)
{
    switch (unit) {
    case 'k':
    case 'K':
        return 10;
    case 'm':
    case 'M':
        return 20;
    default:
        return 0;
    }
}

bool slice_to_size(struct slice self, uint64_t *value)
{
    unsigned shift = self.length > 0 ? unit_shift(self.data[self.length - 1]) : 0;
    struct slice digits = {self.data, self.length - (shift != 0)};
    if (!slice_to_uint64(digits, value) || *value > UINT64_MAX >> shift)
        return false;
    *value <<= shift;
    return true;
}
