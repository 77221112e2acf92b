// SPDX-License-Identifier: MIT
// The options: tuning values from TARN_ environment variables, one field for each entry of options.def.
// Any thread may read and set them; options_load runs once, before there is a second thread.
#ifndef TARN_CORE_OPTIONS_H
#define TARN_CORE_OPTIONS_H

#include <stddef.h>

#include "core/atomics.h"

struct printer;

#define OPTION_FIELD_SIZE _Atomic(size_t)
#define OPTION_FIELD_LIMIT atomic_i64 // bytes; a percentage below 0; or LIMIT_AUTO
#define OPTION_FIELD_COUNT atomic_u32
#define OPTION_FIELD_MS atomic_i64
#define OPTION_FIELD_BOOL _Atomic(bool)
#define OPTION_FIELD_TEXT _Atomic(const char *)

#define LIMIT_AUTO (-1000)

// Read a field with load_relaxed: each is a value of its own that publishes nothing else.
struct options {
#define OPTION(NAME, field, TYPE, unit, WHEN, initial, min, max, text) OPTION_FIELD_##TYPE field;
#include "core/options.def"
#undef OPTION
};

// Holds the defaults until options_load.
extern __attribute__((visibility("hidden"))) struct options options;

// Sets every option from the environment, or to its default where that says nothing usable. Each bad value
// and each unknown TARN_ name prints one line, flushed, to `warnings`. A secure program gets the defaults
// alone, and so does one with `environment` NULL; neither needs a printer. TEXT options point into the
// environment afterwards.
void options_load(char **environment, bool secure, struct printer *warnings);

// Names may be given with or without TARN_. The result is 0 or an error number:
// ENOENT no such option, ERANGE if `size` is too small for the value and its terminator.
int options_get(const char *name, char *value, size_t size);
// ENOENT no such option, EPERM not after the start, EINVAL not a value of its type, ERANGE outside its range.
int options_set(const char *name, const char *value);

// The table of all options with the values in force, for TARN_HELP.
void options_print(struct printer *printer);

#endif
