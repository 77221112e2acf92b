// SPDX-License-Identifier: MIT
#include "core/stats.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

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

struct report_file {
    int fd;
    bool whole; // nothing that was written is missing
};

static void write_to_file(void *file, const char *text, size_t n)
{
    struct report_file *self = file;
    self->whole = os_write(self->fd, text, n) && self->whole;
}

static bool write_file(const char *path, const struct stats *self,
                       void (*print)(struct printer *printer, const struct stats *self))
{
    struct report_file file = {os_open_for_writing(path), true};
    if (file.fd < 0)
        return false;
    struct printer printer;
    printer_init(&printer, write_to_file, &file);
    print(&printer, self);
    os_close(file.fd);
    return file.whole;
}

enum { PATH_MOST = 4096 };

// The name of the file beside `path` that becomes it when it is whole; false when it is too long.
static bool name_beside(const char *path, struct print_memory *name)
{
    struct printer printer;
    printer_init(&printer, print_memory_sink, name);
    print_text(&printer, path);
    print_text(&printer, ".");
    print_u64(&printer, (uint64_t)getpid());
    print_flush(&printer);
    return name->length < PATH_MOST;
}

// Whoever looks, or kills us meanwhile, finds the file that was there before or the whole new one.
static bool replace_file(const char *path, const struct stats *self,
                         void (*print)(struct printer *printer, const struct stats *self))
{
    char name[PATH_MOST];
    struct print_memory memory = {name, PATH_MOST, 0};
    if (!os_is_file_or_nothing(path) || !name_beside(path, &memory))
        return write_file(path, self, print);
    if (write_file(name, self, print) && os_replace_file(name, path))
        return true;
    os_remove_file(name);
    return false;
}

static void report_to_file(const char *path, const struct stats *self,
                           void (*print)(struct printer *printer, const struct stats *self))
{
    if (!replace_file(path, self, print))
        complain(path);
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
