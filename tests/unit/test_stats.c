// SPDX-License-Identifier: MIT
#include "core/print.h"
#include "core/stats.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char text[65536];
static struct stats stats;

// A different number in each field, and numbers at both ends of the range.
static void fill(void)
{
    uint64_t *words = (uint64_t *)&stats;
    for (size_t i = 0; i < sizeof stats / sizeof *words; i++)
        words[i] = i * 1000003;
    stats.live_bytes = 0;
    stats.rss_bytes = UINT64_MAX;
}

static const char *print(void (*how)(struct printer *printer, const struct stats *self))
{
    struct print_memory memory = {.text = text, .size = sizeof text};
    struct printer printer;
    printer_init(&printer, print_memory_sink, &memory);
    how(&printer, &stats);
    cr_assert_lt(memory.length, sizeof text);
    return text;
}

// A reader of the JSON grammar that knows objects, arrays, plain strings and unsigned numbers. Each function
// takes the place where its part begins, and returns the place behind it or NULL.
static const char *json_value(const char *at);

static const char *json_space(const char *at) { return at + strspn(at, " \n"); }

static const char *json_string(const char *at)
{
    if (*at != '"')
        return NULL;
    size_t length = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz_");
    return length != 0 && at[length + 1] == '"' ? at + length + 2 : NULL;
}

static const char *json_member(const char *at)
{
    at = json_string(at);
    if (at == NULL || *(at = json_space(at)) != ':')
        return NULL;
    return json_value(json_space(at + 1));
}

static const char *json_list(const char *at, char close, const char *(*item)(const char *at))
{
    for (;;) {
        at = item(json_space(at));
        if (at == NULL)
            return NULL;
        at = json_space(at);
        if (*at == close)
            return at + 1;
        if (*at++ != ',')
            return NULL;
    }
}

static const char *json_value(const char *at)
{
    if (*at == '{')
        return json_list(at + 1, '}', json_member);
    if (*at == '[')
        return json_list(at + 1, ']', json_value);
    size_t digits = strspn(at, "0123456789");
    return digits == 0 || (digits > 1 && *at == '0') ? NULL : at + digits;
}

Test(stats, json_is_one_valid_object)
{
    fill();
    const char *json = print(stats_print_json);
    cr_assert_eq(*json, '{');
    const char *end = json_value(json);
    cr_assert_not_null(end);
    cr_assert_str_eq(end, "\n");
}

// The number behind the first member of that name from `json` on.
static uint64_t member(const char *json, const char *name)
{
    char quoted[64] = "\"";
    strcat(strcat(quoted, name), "\": ");
    const char *found = strstr(json, quoted);
    cr_assert_not_null(found, "%s", name);
    return strtoull(found + strlen(quoted), NULL, 10);
}

Test(stats, json_has_every_statistic)
{
    fill();
    const char *json = print(stats_print_json);
#define STAT(field, unit, layer, text) cr_assert_eq(member(json, #field), stats.field, #field);
#define STAT_PART(field, unit, layer, text) STAT(field, unit, layer, text)
#define STAT_RESIDENT(field, unit, layer, text) STAT(field, unit, layer, text)
#define STAT_CLASS(field, unit, heading, text)
#include "core/stats.def"
#undef STAT
#undef STAT_PART
#undef STAT_RESIDENT
#undef STAT_CLASS
}

Test(stats, json_has_every_class_with_all_its_members)
{
    fill();
    const char *object = strstr(print(stats_print_json), "\"classes\"");
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++) {
        object = strchr(object + 1, '{');
        cr_assert_not_null(object);
#define STAT(field, unit, layer, text)
#define STAT_PART(field, unit, layer, text)
#define STAT_RESIDENT(field, unit, layer, text)
#define STAT_CLASS(field, unit, heading, text) cr_assert_eq(member(object, #field), stats.classes[cls].field);
#include "core/stats.def"
#undef STAT
#undef STAT_PART
#undef STAT_RESIDENT
#undef STAT_CLASS
    }
    cr_assert_null(strchr(object + 1, '{'));
}

Test(stats, the_parts_of_mapped_memory_add_up)
{
    stats.live_bytes = 1;
    stats.cached_thread_bytes = 20;
    stats.cached_batch_bytes = 300;
    stats.span_free_bytes = 4000;
    stats.span_waste_bytes = 50000;
    stats.page_heap_dirty_bytes = 600000;
    stats.page_heap_clean_bytes = 7000000;
    stats.large_bytes = stats.metadata_bytes = stats.reserved_bytes = stats.mapped_bytes = UINT64_C(1) << 40;
    cr_assert_eq(stats_accounted(&stats), 7654321);
}

Test(stats, text_shows_sizes_for_people_and_counts_as_they_are)
{
    stats.live_bytes = 3 << 19;
    stats.refills = 1234567;
    print(stats_print_text);
    cr_assert_not_null(strstr(text, "\n  live_bytes                        1.5M  handed out"), "%s", text);
    cr_assert_not_null(strstr(text, "\n  refills                        1234567  "), "%s", text);
}

Test(stats, text_names_each_layer_once)
{
    const char *const layers[] = {"memory",        "resident memory", "limits",   "process",
                                  "thread caches", "central pools",   "page heap"};
    print(stats_print_text);
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        char line[32] = "\n";
        strcat(strcat(line, layers[i]), "\n");
        const char *found = strstr(text, line);
        cr_assert_not_null(found, "%s", layers[i]);
        cr_assert_null(strstr(found + 1, line), "%s", layers[i]);
    }
}

Test(stats, text_lists_only_classes_that_have_spans)
{
    stats.classes[3] = (struct stats_class){.size = 1152,
                                            .spans = 2,
                                            .slots = 682,
                                            .live_objects = 600,
                                            .cached_thread = 50,
                                            .cached_batch = 20,
                                            .free_in_spans = 12,
                                            .rounding_bytes = 7,
                                            .requested_estimate_bytes = 690000};
    stats.classes[4].size = 64;
    print(stats_print_text);
    const char *row = "\n       1152          2        682        600         50         20         12       "
                      "   7     690000          0\n";
    cr_assert_not_null(strstr(text, row), "%s", text);
    cr_assert_null(strstr(text, "\n         64"));
}

Test(stats, text_columns_stand_below_their_headings)
{
    stats.classes[1].spans = 1;
    print(stats_print_text);
    const char *heading = strstr(text, "       size      spans");
    cr_assert_not_null(heading);
    cr_assert_eq(strcspn(heading, "\n"), strcspn(strchr(heading, '\n') + 1, "\n"));
}

Test(stats, text_lines_are_short)
{
    fill();
    for (const char *line = print(stats_print_text); *line != '\0'; line += strcspn(line, "\n") + 1)
        cr_assert_leq(strcspn(line, "\n"), 110);
}

static size_t report(const char *scheme, const char *path)
{
    char target[128] = "";
    stats_report(strcat(strcat(target, scheme), path), &stats);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    text[length] = '\0';
    close(fd);
    unlink(path);
    return (size_t)length;
}

Test(stats, report_goes_where_the_option_says)
{
    char directory[] = "test-stats-XXXXXX";
    char path[64] = "";
    cr_assert_not_null(mkdtemp(directory));
    strcat(strcat(path, directory), "/report");
    cr_assert_neq(report("json:", path), 0);
    cr_assert_eq(text[0], '{');
    cr_assert_neq(report("text:", path), 0);
    cr_assert_eq(strncmp(text, "tarn: statistics\n", 17), 0);
    cr_assert_eq(report("", path), 0);
    rmdir(directory);
}

// What the call writes to standard error.
static const char *complaint(const char *target)
{
    int ends[2];
    int saved = dup(STDERR_FILENO);
    cr_assert_eq(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    stats_report(target, &stats);
    dup2(saved, STDERR_FILENO);
    close(ends[1]);
    size_t length = 0;
    for (ssize_t n; (n = read(ends[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)n;
    text[length] = '\0';
    close(ends[0]);
    close(saved);
    return text;
}

Test(stats, report_on_standard_error)
{
    cr_assert_eq(strncmp(complaint("1"), "tarn: statistics\n", 17), 0);
    cr_assert_str_eq(complaint("0"), "");
}

Test(stats, report_says_when_it_cannot_be_written)
{
    cr_assert_str_eq(complaint("json:/nowhere/at/all"), "tarn: cannot write statistics to /nowhere/at/all\n");
}

// A file is whole, however its writer ended, and a device is written to, not replaced.
static bool is_whole(const char *path)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return true;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    return length > 4 && text[0] == '{' && memcmp(text + length - 2, "}\n", 2) == 0;
}

static pid_t start_writing(const char *target)
{
    pid_t writer = fork();
    cr_assert_geq(writer, 0);
    while (writer == 0)
        stats_report(target, &stats);
    return writer;
}

Test(stats, a_killed_writer_leaves_no_half_file)
{
    char directory[] = "test-stats-XXXXXX", target[64] = "json:", command[64] = "rm -r ";
    fill();
    cr_assert_not_null(mkdtemp(directory));
    strcat(strcat(target, directory), "/report");
    for (long i = 0; i < 200; i++) {
        pid_t writer = start_writing(target);
        nanosleep(&(struct timespec){0, 1000 * (200 + i * 7919 % 1500)}, NULL);
        kill(writer, SIGKILL);
        cr_assert_eq(waitpid(writer, NULL, 0), writer);
        cr_assert(is_whole(target + 5), "after %ld writers", i);
    }
    cr_assert_eq(system(strcat(command, directory)), 0);
}

Test(stats, what_cannot_be_written_whole_is_said_and_a_device_stays)
{
    cr_assert_str_eq(complaint("json:/dev/full"), "tarn: cannot write statistics to /dev/full\n");
    cr_assert_str_eq(complaint("json:/dev/null"), "");
    struct stat info;
    cr_assert(stat("/dev/null", &info) == 0 && S_ISCHR(info.st_mode));
}
