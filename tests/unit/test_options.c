// SPDX-License-Identifier: MIT
#include "core/options.h"
#include "core/print.h"
#include "core/size_class.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static char said[4096];
static struct print_memory memory;
static struct printer printer;

static void begin(void)
{
    memory = (struct print_memory){.text = said, .size = sizeof said};
    said[0] = '\0';
    printer_init(&printer, print_memory_sink, &memory);
}

// Loads an environment of up to three entries; what was printed is in `said`.
static void load(const char *first, const char *second, const char *third)
{
    char *environment[] = {(char *)first, (char *)second, (char *)third, NULL};
    begin();
    options_load(environment, false, &printer);
}

static const char *value_of(const char *name)
{
    static char value[128];
    cr_assert_eq(options_get(name, value, sizeof value), 0, "%s", name);
    return value;
}

static void expect(const char *entry, const char *name, const char *value)
{
    load(entry, NULL, NULL);
    cr_assert_str_eq(said, "");
    cr_assert_str_eq(value_of(name), value);
}

static void expect_warning(const char *entry, const char *line)
{
    load(entry, NULL, NULL);
    cr_assert_str_eq(said, line);
}

Test(options, defaults_are_in_force_before_and_after_loading)
{
    cr_assert_eq(load_relaxed(&options.tcache_batch), 16384);
    options_load(NULL, false, NULL);
    cr_assert_eq(load_relaxed(&options.tcache_total), (size_t)128 << 20);
    cr_assert_eq(load_relaxed(&options.tcache_batch), 16384);
    cr_assert_eq(load_relaxed(&options.tcache_max_size), 65536);
    cr_assert_eq(load_relaxed(&options.tcache_off), false);
    cr_assert_eq(load_relaxed(&options.decay_ms), 1000);
    cr_assert_eq(load_relaxed(&options.limit_hard), 0);
    cr_assert_eq(load_relaxed(&options.stripes), 0);
    cr_assert_eq(load_relaxed(&options.arena), (size_t)1 << 40);
    cr_assert_str_eq(load_relaxed(&options.stats), "0");
    cr_assert_eq(load_relaxed(&options.verbose), false);
    cr_assert_eq(load_relaxed(&options.help), false);
}

Test(options, every_default_is_within_its_range){
#define OPTION(NAME, field, TYPE, unit, WHEN, initial, min, max, text)                                       \
    {                                                                                                        \
        char entry[128] = "TARN_" #NAME "=";                                                                 \
        options_load(NULL, false, NULL);                                                                     \
        strcat(entry, value_of(#NAME));                                                                      \
        expect(entry, #NAME, strchr(entry, '=') + 1);                                                        \
    }
#include "core/options.def"
#undef OPTION
}

Test(options, defaults_agree_with_the_size_classes)
{
    cr_assert_eq(load_relaxed(&options.tcache_max_size), SIZE_CLASS_MAX);
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++) {
        size_t objects = load_relaxed(&options.tcache_batch) / size_class_size(cls);
        objects = objects < 2 ? 2 : objects > SIZE_CLASS_BATCH_MAX ? SIZE_CLASS_BATCH_MAX : objects;
        cr_assert_eq(size_class_table[cls].batch, objects);
    }
}

Test(options, sizes)
{
    expect("TARN_TCACHE_TOTAL=0", "TCACHE_TOTAL", "0");
    expect("TARN_TCACHE_TOTAL=1000", "TCACHE_TOTAL", "1000");
    expect("TARN_TCACHE_TOTAL=64K", "TCACHE_TOTAL", "64K");
    expect("TARN_TCACHE_TOTAL=2m", "TCACHE_TOTAL", "2M");
    expect("TARN_TCACHE_TOTAL=1G", "TCACHE_TOTAL", "1G");
    expect("TARN_TCACHE_TOTAL=1T", "TCACHE_TOTAL", "1T");
    expect("TARN_TCACHE_TOTAL=1024g", "TCACHE_TOTAL", "1T");
    cr_assert_eq(load_relaxed(&options.tcache_total), (size_t)1 << 40);
}

Test(options, limits_are_sizes_or_shares_or_automatic)
{
    expect("TARN_LIMIT_SOFT=0", "LIMIT_SOFT", "0");
    expect("TARN_LIMIT_SOFT=3g", "LIMIT_SOFT", "3G");
    expect("TARN_LIMIT_SOFT=1%", "LIMIT_SOFT", "1%");
    cr_assert_eq(load_relaxed(&options.limit_soft), -1);
    expect("TARN_LIMIT_HARD=0100%", "LIMIT_HARD", "100%");
    expect("TARN_LIMIT_HARD=Auto", "LIMIT_HARD", "auto");
    cr_assert_eq(load_relaxed(&options.limit_hard), LIMIT_AUTO);
    cr_assert_eq(options_set("LIMIT_HARD", "80%"), 0);
    cr_assert_eq(load_relaxed(&options.limit_hard), -80);
    cr_assert_eq(options_set("LIMIT_HARD", "0%"), ERANGE);
    cr_assert_eq(options_set("LIMIT_HARD", "101%"), ERANGE);
    cr_assert_eq(options_set("LIMIT_HARD", "99999999999999999999%"), ERANGE);
    cr_assert_eq(options_set("LIMIT_HARD", "80%%"), EINVAL);
    cr_assert_eq(options_set("LIMIT_HARD", "8K%"), EINVAL);
    cr_assert_eq(options_set("LIMIT_HARD", "%"), EINVAL);
    cr_assert_eq(options_set("LIMIT_HARD", "-80"), EINVAL);
    cr_assert_eq(options_set("LIMIT_HARD", "automatic"), EINVAL);
    expect_warning("TARN_LIMIT_HARD=101%", "tarn: TARN_LIMIT_HARD=101%: more than 100%; using 0\n");
    expect_warning("TARN_LIMIT_HARD=0%", "tarn: TARN_LIMIT_HARD=0%: less than 1%; using 0\n");
    expect_warning("TARN_LIMIT_HARD=129T", "tarn: TARN_LIMIT_HARD=129T: more than 128T; using 0\n");
    expect_warning("TARN_LIMIT_HARD=some",
                   "tarn: TARN_LIMIT_HARD=some: neither a size nor a percentage nor auto; using 0\n");
}

Test(options, counts_and_times)
{
    expect("TARN_STRIPES=64", "STRIPES", "64");
    expect("TARN_STRIPES=007", "STRIPES", "7");
    expect("TARN_DECAY_MS=0", "DECAY_MS", "0");
    expect("TARN_DECAY_MS=-1", "DECAY_MS", "-1");
    expect("TARN_DECAY_MS=3600000", "DECAY_MS", "3600000");
}

Test(options, switches)
{
    expect("TARN_TCACHE_OFF=1", "TCACHE_OFF", "on");
    expect("TARN_TCACHE_OFF=0", "TCACHE_OFF", "off");
    expect("TARN_TCACHE_OFF=on", "TCACHE_OFF", "on");
    expect("TARN_TCACHE_OFF=OFF", "TCACHE_OFF", "off");
    expect("TARN_TCACHE_OFF=Yes", "TCACHE_OFF", "on");
    expect("TARN_TCACHE_OFF=no", "TCACHE_OFF", "off");
    expect("TARN_TCACHE_OFF=true", "TCACHE_OFF", "on");
    expect("TARN_TCACHE_OFF=false", "TCACHE_OFF", "off");
}

Test(options, texts)
{
    expect("TARN_STATS=0", "STATS", "0");
    expect("TARN_STATS=1", "STATS", "1");
    expect("TARN_STATS=text:a b", "STATS", "text:a b");
    expect("TARN_STATS=json:/var/log/x=y.json", "STATS", "json:/var/log/x=y.json");
}

Test(options, text_points_into_the_environment)
{
    char entry[] = "TARN_STATS=1";
    load(entry, NULL, NULL);
    cr_assert_eq(load_relaxed(&options.stats), entry + strlen("TARN_STATS="));
}

Test(options, malformed_sizes_warn_and_default)
{
    expect_warning("TARN_TCACHE_TOTAL=abc", "tarn: TARN_TCACHE_TOTAL=abc: not a size; using 128M\n");
    expect_warning("TARN_TCACHE_TOTAL=", "tarn: TARN_TCACHE_TOTAL=: not a size; using 128M\n");
    expect_warning("TARN_TCACHE_TOTAL=K", "tarn: TARN_TCACHE_TOTAL=K: not a size; using 128M\n");
    expect_warning("TARN_TCACHE_TOTAL=1.5M", "tarn: TARN_TCACHE_TOTAL=1.5M: not a size; using 128M\n");
    expect_warning("TARN_TCACHE_TOTAL=64KB", "tarn: TARN_TCACHE_TOTAL=64KB: not a size; using 128M\n");
    expect_warning("TARN_TCACHE_TOTAL=64X", "tarn: TARN_TCACHE_TOTAL=64X: not a size; using 128M\n");
    expect_warning("TARN_TCACHE_TOTAL= 64K", "tarn: TARN_TCACHE_TOTAL= 64K: not a size; using 128M\n");
    expect_warning("TARN_TCACHE_TOTAL=64K ", "tarn: TARN_TCACHE_TOTAL=64K : not a size; using 128M\n");
    expect_warning("TARN_TCACHE_TOTAL=-1", "tarn: TARN_TCACHE_TOTAL=-1: not a size; using 128M\n");
    expect_warning("TARN_TCACHE_TOTAL=+1", "tarn: TARN_TCACHE_TOTAL=+1: not a size; using 128M\n");
    cr_assert_str_eq(value_of("TCACHE_TOTAL"), "128M");
}

Test(options, malformed_numbers_warn_and_default)
{
    expect_warning("TARN_DECAY_MS=abc", "tarn: TARN_DECAY_MS=abc: not a number; using 1000\n");
    expect_warning("TARN_DECAY_MS=", "tarn: TARN_DECAY_MS=: not a number; using 1000\n");
    expect_warning("TARN_DECAY_MS=-", "tarn: TARN_DECAY_MS=-: not a number; using 1000\n");
    expect_warning("TARN_DECAY_MS=--1", "tarn: TARN_DECAY_MS=--1: not a number; using 1000\n");
    expect_warning("TARN_DECAY_MS=1s", "tarn: TARN_DECAY_MS=1s: not a number; using 1000\n");
    expect_warning("TARN_DECAY_MS=1K", "tarn: TARN_DECAY_MS=1K: not a number; using 1000\n");
    expect_warning("TARN_STRIPES=0x10", "tarn: TARN_STRIPES=0x10: not a number; using 0\n");
    expect_warning("TARN_STRIPES=-1", "tarn: TARN_STRIPES=-1: not a number; using 0\n");
}

Test(options, numbers_outside_the_range_warn_and_default)
{
    expect_warning("TARN_STRIPES=65", "tarn: TARN_STRIPES=65: more than 64; using 0\n");
    expect_warning("TARN_DECAY_MS=-2", "tarn: TARN_DECAY_MS=-2: less than -1; using 1000\n");
    expect_warning("TARN_DECAY_MS=3600001", "tarn: TARN_DECAY_MS=3600001: more than 3600000; using 1000\n");
    expect_warning("TARN_ARENA=1K", "tarn: TARN_ARENA=1K: less than 4G; using 1T\n");
    expect_warning("TARN_TCACHE_BATCH=1M", "");
    expect_warning("TARN_TCACHE_BATCH=2M", "tarn: TARN_TCACHE_BATCH=2M: more than 1M; using 16K\n");
    cr_assert_str_eq(value_of("TCACHE_BATCH"), "16K");
}

Test(options, numbers_that_overflow_are_outside_the_range)
{
    expect_warning("TARN_TCACHE_TOTAL=99999999999999999999999",
                   "tarn: TARN_TCACHE_TOTAL=99999999999999999999999: more than 1T; using 128M\n");
    expect_warning("TARN_TCACHE_TOTAL=18446744073709551616",
                   "tarn: TARN_TCACHE_TOTAL=18446744073709551616: more than 1T; using 128M\n");
    expect_warning("TARN_TCACHE_TOTAL=16E", "tarn: TARN_TCACHE_TOTAL=16E: more than 1T; using 128M\n");
    expect_warning("TARN_TCACHE_TOTAL=9999999999P",
                   "tarn: TARN_TCACHE_TOTAL=9999999999P: more than 1T; using 128M\n");
    expect_warning("TARN_DECAY_MS=-99999999999999999999",
                   "tarn: TARN_DECAY_MS=-99999999999999999999: less than -1; using 1000\n");
    expect_warning("TARN_DECAY_MS=99999999999999999999",
                   "tarn: TARN_DECAY_MS=99999999999999999999: more than 3600000; using 1000\n");
}

Test(options, bad_switches_warn_and_default)
{
    expect_warning("TARN_VERBOSE=2", "tarn: TARN_VERBOSE=2: neither on nor off; using off\n");
    expect_warning("TARN_VERBOSE=", "tarn: TARN_VERBOSE=: neither on nor off; using off\n");
    expect_warning("TARN_VERBOSE=onn", "tarn: TARN_VERBOSE=onn: neither on nor off; using off\n");
    expect_warning("TARN_VERBOSE=o", "tarn: TARN_VERBOSE=o: neither on nor off; using off\n");
}

Test(options, bad_texts_warn_and_default)
{
    expect_warning("TARN_STATS=xml:f", "tarn: TARN_STATS=xml:f: none of 0 1 text:PATH json:PATH; using 0\n");
    expect_warning("TARN_STATS=json:", "tarn: TARN_STATS=json:: none of 0 1 text:PATH json:PATH; using 0\n");
    expect_warning("TARN_STATS=json", "tarn: TARN_STATS=json: none of 0 1 text:PATH json:PATH; using 0\n");
    expect_warning("TARN_STATS=10", "tarn: TARN_STATS=10: none of 0 1 text:PATH json:PATH; using 0\n");
    expect_warning("TARN_STATS=", "tarn: TARN_STATS=: none of 0 1 text:PATH json:PATH; using 0\n");
}

Test(options, unknown_names_warn)
{
    expect_warning("TARN_FOO=1", "tarn: TARN_FOO: no such option\n");
    expect_warning("TARN_=1", "tarn: TARN_: no such option\n");
    expect_warning("TARN_STAT=1", "tarn: TARN_STAT: no such option\n");
    expect_warning("TARN_STATSS=1", "tarn: TARN_STATSS: no such option\n");
    expect_warning("TARN_stats=1", "tarn: TARN_stats: no such option\n");
}

Test(options, other_variables_are_none_of_our_business)
{
    expect_warning("PATH=/bin", "");
    expect_warning("TARNISH=1", "");
    expect_warning("XTARN_FOO=1", "");
    expect_warning("TARN_FOO", "");
    expect_warning("", "");
}

Test(options, one_bad_entry_leaves_the_others_alone)
{
    load("TARN_DECAY_MS=abc", "TARN_STRIPES=3", "TARN_FOO=1");
    cr_assert_str_eq(said, "tarn: TARN_DECAY_MS=abc: not a number; using 1000\n"
                           "tarn: TARN_FOO: no such option\n");
    cr_assert_str_eq(value_of("STRIPES"), "3");
    cr_assert_str_eq(value_of("DECAY_MS"), "1000");
}

Test(options, the_first_of_two_equal_names_counts)
{
    load("TARN_STRIPES=3", "TARN_STRIPES=4", "TARN_STRIPES=bad");
    cr_assert_str_eq(said, "");
    cr_assert_str_eq(value_of("STRIPES"), "3");
    load("TARN_STRIPES=bad", "TARN_STRIPES=4", NULL);
    cr_assert_str_eq(value_of("STRIPES"), "0");
}

Test(options, a_warning_is_one_printable_line)
{
    char entry[600] = "TARN_STRIPES=a\nb\tc\x7f\xff";
    memset(entry + strlen(entry), 'x', 300);
    load(entry, NULL, NULL);
    cr_assert_eq(strncmp(said,
                         "tarn: TARN_STRIPES=a?b?c?\xff"
                         "x",
                         27),
                 0, "%s", said);
    cr_assert_eq(strchr(said, '\n'), said + strlen(said) - 1);
    cr_assert_not_null(strstr(said, "x...: not a number; using 0\n"));
    cr_assert_lt(strlen(said), sizeof printer.buffer);
}

Test(options, secure_programs_ignore_the_environment)
{
    char *environment[] = {(char *)"TARN_STRIPES=3", (char *)"TARN_FOO=1", NULL};
    options_load(environment, true, NULL);
    cr_assert_str_eq(value_of("STRIPES"), "0");
}

Test(options, loading_again_forgets_the_old_values)
{
    expect("TARN_STRIPES=3", "STRIPES", "3");
    expect("TARN_VERBOSE=1", "STRIPES", "0");
}

Test(options, get_knows_names_with_and_without_prefix)
{
    char value[8];
    cr_assert_eq(options_get("TARN_DECAY_MS", value, sizeof value), 0);
    cr_assert_str_eq(value, "1000");
    cr_assert_eq(options_get("DECAY_MS", value, sizeof value), 0);
    cr_assert_eq(options_get("TARN_TARN_DECAY_MS", value, sizeof value), ENOENT);
    cr_assert_eq(options_get("NOTHING", value, sizeof value), ENOENT);
    cr_assert_eq(options_get("", value, sizeof value), ENOENT);
}

Test(options, get_reports_a_value_that_does_not_fit)
{
    char value[8] = "unhurt!";
    cr_assert_eq(options_get("DECAY_MS", value, 4), ERANGE);
    cr_assert_eq(options_get("DECAY_MS", value, 5), 0);
    cr_assert_str_eq(value, "1000");
    cr_assert_eq(options_get("DECAY_MS", NULL, 0), ERANGE);
}

Test(options, set_changes_what_may_change)
{
    cr_assert_eq(options_set("DECAY_MS", "-1"), 0);
    cr_assert_eq(load_relaxed(&options.decay_ms), -1);
    cr_assert_eq(options_set("TARN_TCACHE_TOTAL", "8M"), 0);
    cr_assert_eq(load_relaxed(&options.tcache_total), (size_t)8 << 20);
}

Test(options, set_refuses_with_a_reason_and_changes_nothing)
{
    cr_assert_eq(options_set("NOTHING", "1"), ENOENT);
    cr_assert_eq(options_set("STRIPES", "1"), EPERM);
    cr_assert_eq(options_set("STATS", "1"), EPERM);
    cr_assert_eq(options_set("DECAY_MS", "soon"), EINVAL);
    cr_assert_eq(options_set("DECAY_MS", "-2"), ERANGE);
    cr_assert_eq(options_set("LIMIT_HARD", "9E"), ERANGE);
    cr_assert_str_eq(value_of("DECAY_MS"), "1000");
    cr_assert_str_eq(value_of("STRIPES"), "0");
}

Test(options, help_shows_every_option_with_its_value)
{
    load("TARN_DECAY_MS=250", "TARN_STATS=json:out", NULL);
    options_print(&printer);
#define OPTION(NAME, field, TYPE, unit, WHEN, initial, min, max, text)                                       \
    cr_assert_not_null(strstr(said, "\n  TARN_" #NAME " "), #NAME);
#include "core/options.def"
#undef OPTION
    cr_assert_not_null(strstr(said, "\n  TARN_DECAY_MS         250  (default 1000, -1 to 3600000)\n"), "%s",
                       said);
    cr_assert_not_null(
        strstr(said, "\n  TARN_STATS            json:out  (default 0; 0 1 text:PATH json:PATH)\n"));
    cr_assert_not_null(strstr(said, "\n  TARN_VERBOSE          off  (default off; on, off)\n"));
}

Test(options, help_lines_are_short)
{
    load(NULL, NULL, NULL);
    options_print(&printer);
    for (const char *line = said; *line != '\0'; line += strcspn(line, "\n") + 1)
        cr_assert_leq(strcspn(line, "\n"), 100);
}
