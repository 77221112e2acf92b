// SPDX-License-Identifier: MIT
#include "kvload/payload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kvload/random.h"

enum { WORD = sizeof(uint64_t), FILLER_KINDS = 48 };

size_t payload_key(char text[PAYLOAD_KEY_MAX], uint32_t key)
{
    int filler = (int)(random_mix(key) % FILLER_KINDS);
    // The precision cuts the filler, which gives keys of many lengths.
    return (size_t)snprintf(text, PAYLOAD_KEY_MAX, "k%07" PRIu32 "%.*s", key, filler,
                            "/users/sessions/preferences/language/timezone/etc");
}

static uint64_t seed_of(uint32_t key, uint64_t version, size_t length)
{
    return random_mix(version ^ random_mix((uint64_t)key << 32 ^ length));
}

static uint64_t word_at(uint64_t seed, size_t place)
{
    uint64_t x = seed + place * UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 29;
}

void payload_write(char *value, size_t length, uint32_t key, uint64_t version)
{
    uint64_t seed = seed_of(key, version, length);
    memcpy(value, &version, WORD);
    for (size_t at = WORD; at < length; at += WORD) {
        uint64_t word = word_at(seed, at);
        memcpy(value + at, &word, at + WORD <= length ? WORD : length - at);
    }
}

static size_t first_difference(const char *value, const char *expected, size_t length)
{
    size_t at = 0;
    while (at < length && value[at] == expected[at])
        at++;
    return at;
}

size_t payload_check(const char *value, size_t length, uint32_t key)
{
    uint64_t version;
    if (length < WORD)
        return 0;
    memcpy(&version, value, WORD);
    uint64_t seed = seed_of(key, version, length);
    for (size_t at = WORD; at < length; at += WORD) {
        uint64_t word = word_at(seed, at);
        size_t part = at + WORD <= length ? WORD : length - at;
        if (memcmp(value + at, &word, part) != 0)
            return at + first_difference(value + at, (const char *)&word, part);
    }
    return length;
}
