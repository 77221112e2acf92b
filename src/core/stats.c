// SPDX-License-Identifier: MIT
#include "core/stats.h"

#include <stddef.h>
#include <string.h>

#include "core/os.h"
#include "core/print.h"

enum { STANDARD_ERROR = 2 };
enum stat_unit { BYTES, COUNT };

struct stat_info {
    const char *name;
    const char *layer; // for a class the heading of its column
    const char *text;
    size_t offset; // in struct stats or struct stats_class
    enum stat_unit unit;
};

#define STAT(field, unit, layer, text) {#field, layer, text, offsetof(struct stats, field), unit},
#define STAT_PART STAT
#define STAT_RESIDENT STAT
#define STAT_CLASS(field, unit, heading, text)
static const struct stat_info table[] = {
#include "core/stats.def"
};
#undef STAT
#undef STAT_PART
#undef STAT_RESIDENT
#undef STAT_CLASS

#define STAT(field, unit, layer, text)
#define STAT_PART STAT
#define STAT_RESIDENT STAT
#define STAT_CLASS(field, unit, heading, text)                                                               \
    {#field, heading, text, offsetof(struct stats_class, field), unit},
static const struct stat_info class_table[] = {
#include "core/stats.def"
};
#undef STAT
#undef STAT_PART
#undef STAT_RESIDENT
#undef STAT_CLASS

enum {
    STAT_COUNT = sizeof table / sizeof table[0],
    STAT_CLASS_COUNT = sizeof class_table / sizeof class_table[0]
};

static uint64_t stat_value(const struct stat_info *self, const void *stats)
{
    uint64_t value;
    memcpy(&value, (const char *)stats + self->offset, sizeof value);
    return value;
}

uint64_t stats_accounted(const struct stats *self)
{
    uint64_t sum = 0;
#define STAT(field, unit, layer, text)
#define STAT_RESIDENT(field, unit, layer, text)
#define STAT_PART(field, unit, layer, text) sum += self->field;
#define STAT_CLASS(field, unit, heading, text)
#include "core/stats.def"
#undef STAT
#undef STAT_PART
#undef STAT_RESIDENT
#undef STAT_CLASS
    return sum;
}

uint64_t stats_resident(const struct stats *self)
{
    uint64_t sum = 0;
#define STAT(field, unit, layer, text)
#define STAT_PART(field, unit, layer, text)
#define STAT_RESIDENT(field, unit, layer, text) sum += self->field;
#define STAT_CLASS(field, unit, heading, text)
#include "core/stats.def"
#undef STAT
#undef STAT_PART
#undef STAT_RESIDENT
#undef STAT_CLASS
    return sum;
}

static void print_value(struct printer *printer, const struct stat_info *info, const struct stats *self)
{
    enum { COLUMN = 12 };
    if (info->unit == BYTES)
        print_size_padded(printer, stat_value(info, self), COLUMN);
    else
        print_u64_padded(printer, stat_value(info, self), COLUMN);
}

static void print_layers(struct printer *printer, const struct stats *self)
{
    const char *layer = "";
    for (size_t i = 0; i < STAT_COUNT; i++) {
        if (strcmp(layer, table[i].layer) != 0) {
            layer = table[i].layer;
            print_text(printer, layer);
            print_text(printer, "\n");
        }
        print_text(printer, "  ");
        print_padded(printer, table[i].name, -26);
        print_value(printer, &table[i], self);
        print_text(printer, "  ");
        print_text(printer, table[i].text);
        print_text(printer, "\n");
    }
}

enum { CLASS_COLUMN = 11 };

// Bytes too are shown to the last one here: two sizes must not look the same.
static void print_class(struct printer *printer, const struct stats_class *self)
{
    for (size_t i = 0; i < STAT_CLASS_COUNT; i++)
        print_u64_padded(printer, stat_value(&class_table[i], self), CLASS_COLUMN);
    print_text(printer, "\n");
}

static void print_classes(struct printer *printer, const struct stats *self)
{
    print_text(printer, "size classes that have spans\n");
    for (size_t i = 0; i < STAT_CLASS_COUNT; i++)
        print_padded(printer, class_table[i].layer, CLASS_COLUMN);
    print_text(printer, "\n");
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++)
        if (self->classes[cls].spans != 0)
            print_class(printer, &self->classes[cls]);
}

void stats_print_text(struct printer *printer, const struct stats *self)
{
    print_text(printer, "tarn: statistics\n");
    print_layers(printer, self);
    print_classes(printer, self);
    print_flush(printer);
}

static void print_members(struct printer *printer, const struct stat_info *infos, size_t n, const void *stats,
                          const char *between)
{
    for (size_t i = 0; i < n; i++) {
        print_text(printer, i == 0 ? "\"" : between);
        print_text(printer, infos[i].name);
        print_text(printer, "\": ");
        print_u64(printer, stat_value(&infos[i], stats));
    }
}

void stats_print_json(struct printer *printer, const struct stats *self)
{
    print_text(printer, "{\n  ");
    print_members(printer, table, STAT_COUNT, self, ",\n  \"");
    print_text(printer, ",\n  \"classes\": [");
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++) {
        print_text(printer, cls == 1 ? "\n    {" : ",\n    {");
        print_members(printer, class_table, STAT_CLASS_COUNT, &self->classes[cls], ", \"");
        print_text(printer, "}");
    }
    print_text(printer, "\n  ]\n}\n");
    print_flush(printer);
}

static void complain(const char *path)
{
    struct printer printer;
    printer_init_fd(&printer, STANDARD_ERROR);
    print_text(&printer, "tarn: cannot write statistics to ");
    print_text(&printer, path);
    print_text(&printer, "\n");
    print_flush(&printer);
}

static void report_to_file(const char *path, const struct stats *self,
                           void (*print)(struct printer *printer, const struct stats *self))
{
    int fd = os_open_for_writing(path);
    if (fd < 0) {
        complain(path);
        return;
    }
    struct printer printer;
    printer_init_fd(&printer, fd);
    print(&printer, self);
    os_close(fd);
}

void stats_report(const char *target, const struct stats *self)
{
    const size_t scheme = sizeof "text:" - 1; // json: is as long
    if (strcmp(target, "1") == 0) {
        struct printer printer;
        printer_init_fd(&printer, STANDARD_ERROR);
        stats_print_text(&printer, self);
    } else if (strncmp(target, "text:", scheme) == 0) {
        report_to_file(target + scheme, self, stats_print_text);
    } else if (strncmp(target, "json:", scheme) == 0) {
        report_to_file(target + scheme, self, stats_print_json);
    }
}
