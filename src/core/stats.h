// SPDX-License-Identifier: MIT
// Statistics: the numbers of stats.def at one moment, and how they are written as text and as JSON.
// A struct stats belongs to the thread that fills it; nothing here is shared.
#ifndef TARN_CORE_STATS_H
#define TARN_CORE_STATS_H

#include <stdint.h>

#include "core/size_class.h"

struct printer;

// slots == live_objects + cached_thread + cached_batch + free_in_spans, once all threads rest
struct stats_class {
#define STAT(field, unit, layer, text)
#define STAT_PART(field, unit, layer, text)
#define STAT_RESIDENT(field, unit, layer, text)
#define STAT_CLASS(field, unit, heading, text) uint64_t field;
#include "core/stats.def"
#undef STAT
#undef STAT_PART
#undef STAT_RESIDENT
#undef STAT_CLASS
};

// mapped_bytes == stats_accounted(), once all threads rest.  rss_bytes == stats_resident() after
// resident_take.
struct stats {
#define STAT(field, unit, layer, text) uint64_t field;
#define STAT_PART(field, unit, layer, text) uint64_t field;
#define STAT_RESIDENT(field, unit, layer, text) uint64_t field;
#define STAT_CLASS(field, unit, heading, text)
#include "core/stats.def"
#undef STAT
#undef STAT_PART
#undef STAT_RESIDENT
#undef STAT_CLASS
    struct stats_class classes[SIZE_CLASS_COUNT]; // by class; class 0 stays unused
};

// The sum of all parts that mapped memory divides into.
uint64_t stats_accounted(const struct stats *self);
// The sum of all parts that resident memory divides into.
uint64_t stats_resident(const struct stats *self);

// For people; only the classes that have spans.
void stats_print_text(struct printer *printer, const struct stats *self);
// One object with a member for each statistic, and "classes" with an object for each class from 1.
void stats_print_json(struct printer *printer, const struct stats *self);

// Writes where the STATS option says: "1" is text on standard error, text:PATH and json:PATH a new file,
// which is there whole or not at all, and anything else is nowhere. A file that cannot be written is reported
// on standard error.
void stats_report(const char *target, const struct stats *self);

#endif
