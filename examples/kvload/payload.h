// SPDX-License-Identifier: MIT
// Keys and values whose every byte can be checked: a value follows from its key, its version and its length.
// Any thread may call these at any time: nothing here has state.
#ifndef KVLOAD_PAYLOAD_H
#define KVLOAD_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAYLOAD_KEY_MAX = 64 };

// Writes the text of the key, between 8 and about 60 bytes, and returns its length.
size_t payload_key(char text[PAYLOAD_KEY_MAX], uint32_t key);

// Writes a value of at least 8 bytes; the version stands in its first 8.
void payload_write(char *value, size_t length, uint32_t key, uint64_t version);

// Returns `length` when every byte is right, else the place of the first wrong one.
size_t payload_check(const char *value, size_t length, uint32_t key);

#endif
