// SPDX-License-Identifier: MIT
// The input is an environment, one entry a line. It is loaded, and what came of it is held against a second,
// simpler reading of the same text; then each entry is set once more, as a program may do at run time.
#include "core/options.h"
#include "core/print.h"
#include "fuzz.h"
#include <errno.h>
#include <string.h>
#include <strings.h>

enum { ENTRIES = 32, LONGEST_VALUE = 8192 };

#define KIB(n) ((int64_t)(n) << 10)
#define MIB(n) ((int64_t)(n) << 20)
#define GIB(n) ((int64_t)(n) << 30)
#define TIB(n) ((int64_t)(n) << 40)

static unsigned messages;

// --- What is printed.

static void expect_line(void *arg, const char *text, size_t n)
{
    (void)arg;
    messages++;
    expect(n > 7 && memcmp(text, "tarn: ", 6) == 0 && text[n - 1] == '\n');
    for (size_t i = 0; i + 1 < n; i++)
        expect((unsigned char)text[i] >= ' ' && text[i] != 127);
}

static void note_last(void *last, const char *text, size_t n)
{
    if (n != 0)
        *(char *)last = text[n - 1];
}

static void print_all(void)
{
    char last = 0;
    struct printer printer;
    printer_init(&printer, note_last, &last);
    options_print(&printer);
    expect(last == '\n');
}

// --- The second reading: 0, EINVAL or ERANGE.

enum type { SIZE, LIMIT, COUNT, MS, BOOL, TEXT };

static int read_number(enum type type, const char *text, int64_t min, int64_t max, int64_t *number)
{
    static const char units[] = "kmgtpe";
    bool negative = type == MS && *text == '-';
    const char *digits = text + negative, *end = digits + strspn(digits, "0123456789");
    double value = 0; // exact up to 2^53, and whatever lies above is out of every range
    for (const char *c = digits; c < end; c++)
        value = value * 10 + (*c - '0');
    if (end != digits && (type == SIZE || type == LIMIT) && *end != '\0' && strchr(units, *end | 32) != NULL)
        for (const char *unit = strchr(units, *end++ | 32); unit >= units; unit--)
            value *= 1024;
    if (end == digits || *end != '\0')
        return EINVAL;
    value = negative ? -value : value;
    if (value < (double)min || value > (double)max)
        return ERANGE;
    *number = (int64_t)value;
    return 0;
}

static int read_limit(const char *text, int64_t min, int64_t max, int64_t *number)
{
    if (strcasecmp(text, "auto") == 0) {
        *number = LIMIT_AUTO;
        return 0;
    }
    const char *first = text + strspn(text, "0"), *end = first + strspn(first, "0123456789");
    if (end == text || strcmp(end, "%") != 0)
        return read_number(LIMIT, text, min, max, number);
    int percent = end - first > 3 ? 101 : atoi(first);
    *number = -percent;
    return percent >= 1 && percent <= 100 ? 0 : ERANGE;
}

static int read_bool(const char *text, int64_t *number)
{
    static const char *const words[] = {"0", "off", "no", "false", "1", "on", "yes", "true"};
    for (int i = 0; i < 8; i++)
        if (strcasecmp(text, words[i]) == 0) {
            *number = i / 4;
            return 0;
        }
    return EINVAL;
}

// One of the words of `forms`, or what a word with PATH at its end stands for.
static int read_text(const char *text, const char *forms)
{
    char copy[256], *place, *path;
    snprintf(copy, sizeof copy, "%s", forms);
    for (char *form = strtok_r(copy, " ", &place); form != NULL; form = strtok_r(NULL, " ", &place)) {
        path = strstr(form, "PATH");
        size_t prefix = path == NULL ? 0 : (size_t)(path - form);
        if (path == NULL ? strcmp(text, form) == 0 : strncmp(text, form, prefix) == 0 && text[prefix] != '\0')
            return 0;
    }
    return EINVAL;
}

static int read_value(enum type type, const char *text, int64_t min, int64_t max, const char *forms,
                      int64_t *number)
{
    if (type == TEXT)
        return read_text(text, forms);
    if (type == LIMIT)
        return read_limit(text, min, max, number);
    return type == BOOL ? read_bool(text, number) : read_number(type, text, min, max, number);
}

// --- The environment.

static char *environment[ENTRIES + 1];

// The value of the entry that counts, the first of its name; NULL if there is none.
static const char *entry_of(const char *name)
{
    size_t length = strlen(name);
    for (char **entry = environment; *entry != NULL; entry++)
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
            return *entry + length + 1;
    return NULL;
}

static void expect_same_when_read_back(const char *name)
{
    static char entry[LONGEST_VALUE + 64], value[LONGEST_VALUE], again[LONGEST_VALUE];
    expect(options_get(name, value, sizeof value) == 0);
    snprintf(entry, sizeof entry, "%s=%s", name, value);
    char *alone[] = {entry, NULL};
    struct printer printer;
    unsigned before = messages;
    printer_init(&printer, expect_line, NULL);
    options_load(alone, false, &printer);
    expect(messages == before);
    expect(options_get(name, again, sizeof again) == 0 && strcmp(value, again) == 0);
    size_t needed = strlen(value) + 1;
    expect(options_get(name, again, needed) == 0 && options_get(name, again, needed - 1) == ERANGE);
}

static void load(void)
{
    struct printer printer;
    printer_init(&printer, expect_line, NULL);
    options_load(environment, false, &printer);
}

#define FIELD_IS_SIZE(field, number, text) (load_relaxed(&options.field) == (size_t)(number))
#define FIELD_IS_LIMIT FIELD_IS_MS
#define FIELD_IS_COUNT(field, number, text) (load_relaxed(&options.field) == (uint32_t)(number))
#define FIELD_IS_MS(field, number, text) (load_relaxed(&options.field) == (number))
#define FIELD_IS_BOOL(field, number, text) (load_relaxed(&options.field) == ((number) != 0))
#define FIELD_IS_TEXT(field, number, text) (strcmp(load_relaxed(&options.field), text) == 0)
#define INITIAL_NUMBER(initial) (initial), ""
#define INITIAL_SIZE INITIAL_NUMBER
#define INITIAL_LIMIT INITIAL_NUMBER
#define INITIAL_COUNT INITIAL_NUMBER
#define INITIAL_MS INITIAL_NUMBER
#define INITIAL_BOOL INITIAL_NUMBER
#define INITIAL_TEXT(initial) 0, initial
#define BOUNDS_NUMBER(min, max) (min), (max), ""
#define BOUNDS_SIZE BOUNDS_NUMBER
#define BOUNDS_LIMIT BOUNDS_NUMBER
#define BOUNDS_COUNT BOUNDS_NUMBER
#define BOUNDS_MS BOUNDS_NUMBER
#define BOUNDS_BOOL BOUNDS_NUMBER
#define BOUNDS_TEXT(min, max) 0, 0, min

struct expected {
    int64_t number;
    const char *text;
};

// What an option must be after its entry was loaded, if it has one.
static struct expected expected_of(const char *name, enum type type, struct expected initial, int64_t min,
                                   int64_t max, const char *forms)
{
    const char *text = entry_of(name);
    int64_t number = 0;
    if (text == NULL || read_value(type, text, min, max, forms, &number) != 0)
        return initial;
    return (struct expected){number, text};
}

#define OPTION(NAME, field, TYPE, unit, WHEN, initial, min, max, about)                                      \
    {                                                                                                        \
        struct expected is = expected_of("TARN_" #NAME, TYPE, (struct expected){INITIAL_##TYPE(initial)},    \
                                         BOUNDS_##TYPE(min, max));                                           \
        expect(FIELD_IS_##TYPE(field, is.number, is.text));                                                  \
    }
static void expect_fields(void)
{
#include "core/options.def"
}
#undef OPTION

#define OPTION(NAME, field, TYPE, unit, WHEN, initial, min, max, about)                                      \
    load();                                                                                                  \
    expect_same_when_read_back("TARN_" #NAME);
static void expect_values_are_read_back(void)
{
#include "core/options.def"
}
#undef OPTION

// --- Settings at run time.

enum when { START, RUNTIME };

static bool has_name(const char *known, const char *name)
{
    return strcmp(known, name) == 0 || strcmp(known + sizeof "TARN_" - 1, name) == 0;
}

#define OPTION(NAME, field, TYPE, unit, WHEN, initial, min, max, about)                                      \
    if (has_name("TARN_" #NAME, name))                                                                       \
        return WHEN == RUNTIME ? read_value(TYPE, value, BOUNDS_##TYPE(min, max), &number) : EPERM;
static int expected_of_setting(const char *name, const char *value)
{
    int64_t number;
#include "core/options.def"
    return ENOENT;
}
#undef OPTION

static void set(char *entry)
{
    char *equals = strchr(entry, '=');
    if (equals == NULL)
        return;
    *equals = '\0';
    expect(options_set(entry, equals + 1) == expected_of_setting(entry, equals + 1));
    *equals = '=';
}

static void split(char *text)
{
    size_t n = 0;
    for (char *end; n < ENTRIES && text != NULL; text = end) {
        environment[n++] = text;
        end = strchr(text, '\n');
        if (end != NULL)
            *end++ = '\0';
    }
    environment[n] = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[LONGEST_VALUE / 2];
    if (size >= sizeof text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    messages = 0;
    split(text);
    load();
    expect(messages <= ENTRIES);
    expect_fields();
    print_all();
    expect_values_are_read_back();
    for (char **entry = environment; *entry != NULL; entry++)
        set(*entry);
    options_load(NULL, false, NULL); // no option may point into the text of this input any more
    return 0;
}
