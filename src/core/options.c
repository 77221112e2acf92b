// SPDX-License-Identifier: MIT
#include "core/options.h"

#include <errno.h>
#include <string.h>

#include "core/print.h"

#define PREFIX "TARN_"
enum { PREFIX_LENGTH = sizeof PREFIX - 1 };

#define KIB(n) ((int64_t)(n) << 10)
#define MIB(n) ((int64_t)(n) << 20)
#define GIB(n) ((int64_t)(n) << 30)
#define TIB(n) ((int64_t)(n) << 40)

#define OPTION(NAME, field, TYPE, unit, WHEN, initial, min, max, text) .field = initial,
struct options options = {
#include "core/options.def"
};
#undef OPTION

enum option_type { SIZE, LIMIT, COUNT, MS, BOOL, TEXT };
enum option_when { START, RUNTIME };

struct option_info {
    const char *name; // with the prefix
    const char *text;
    void *field;
    enum option_type type;
    enum option_when when;
    int64_t initial, min, max;        // of a number
    const char *initial_text, *forms; // of a TEXT
};

// A TEXT keeps its default and its forms in the columns where the others keep numbers.
#define NUMBERS(initial, min, max) initial, min, max, NULL, NULL
#define RANGE_SIZE NUMBERS
#define RANGE_LIMIT NUMBERS
#define RANGE_COUNT NUMBERS
#define RANGE_MS NUMBERS
#define RANGE_BOOL NUMBERS
#define RANGE_TEXT(initial, min, max) 0, 0, 0, initial, min

#define OPTION(NAME, field, TYPE, unit, WHEN, initial, min, max, text)                                       \
    {PREFIX #NAME, text, &options.field, TYPE, WHEN, RANGE_##TYPE(initial, min, max)},
static const struct option_info table[] = {
#include "core/options.def"
};
#undef OPTION

enum { OPTION_COUNT = sizeof table / sizeof table[0] };

// What parsing found out.
enum verdict { GOOD, MALFORMED, TOO_SMALL, TOO_LARGE };

struct value {
    int64_t number;   // of any type but TEXT
    const char *text; // of a TEXT
};

static void option_store(const struct option_info *self, struct value value)
{
    switch (self->type) {
    case SIZE:
        store_relaxed((OPTION_FIELD_SIZE *)self->field, (size_t)value.number);
        break;
    case LIMIT:
        store_relaxed((OPTION_FIELD_LIMIT *)self->field, value.number);
        break;
    case COUNT:
        store_relaxed((OPTION_FIELD_COUNT *)self->field, (uint32_t)value.number);
        break;
    case MS:
        store_relaxed((OPTION_FIELD_MS *)self->field, value.number);
        break;
    case BOOL:
        store_relaxed((OPTION_FIELD_BOOL *)self->field, value.number != 0);
        break;
    case TEXT:
        store_relaxed((OPTION_FIELD_TEXT *)self->field, value.text);
        break;
    }
}

static struct value option_load(const struct option_info *self)
{
    switch (self->type) {
    case SIZE:
        return (struct value){.number = (int64_t)load_relaxed((OPTION_FIELD_SIZE *)self->field)};
    case LIMIT:
        return (struct value){.number = load_relaxed((OPTION_FIELD_LIMIT *)self->field)};
    case COUNT:
        return (struct value){.number = load_relaxed((OPTION_FIELD_COUNT *)self->field)};
    case MS:
        return (struct value){.number = load_relaxed((OPTION_FIELD_MS *)self->field)};
    case BOOL:
        return (struct value){.number = load_relaxed((OPTION_FIELD_BOOL *)self->field)};
    case TEXT:
        break;
    }
    return (struct value){.text = load_relaxed((OPTION_FIELD_TEXT *)self->field)};
}

static struct value option_default(const struct option_info *self)
{
    return (struct value){.number = self->initial, .text = self->initial_text};
}

static char to_upper(char c) { return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c; }

// What a unit letter multiplies by, as a shift; -1 if the letter is none.
static int unit_shift(char letter)
{
    const char units[] = "KMGTPE";
    const char *found = memchr(units, to_upper(letter), sizeof units - 1);
    return found == NULL ? -1 : (int)(found - units + 1) * 10;
}

// Digits up to the first other character, whose place is returned. Once the number is beyond every range more
// digits change nothing, so it stops growing before it could wrap.
static const char *parse_digits(const char *text, uint64_t *number)
{
    *number = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        if (*number < UINT64_MAX / 16)
            *number = *number * 10 + (uint64_t)(*text - '0');
    return text;
}

static enum verdict parse_number(const struct option_info *self, const char *text, int64_t *number)
{
    bool negative = self->type == MS && *text == '-';
    const char *digits = text + negative;
    uint64_t magnitude;
    const char *rest = parse_digits(digits, &magnitude);
    bool is_size = self->type == SIZE || self->type == LIMIT;
    int shift = is_size && rest != digits ? unit_shift(*rest) : -1;
    rest += shift > 0;
    shift = shift > 0 ? shift : 0;
    if (rest == digits || *rest != '\0')
        return MALFORMED;
    if (magnitude > (uint64_t)INT64_MAX >> shift)
        return negative ? TOO_SMALL : TOO_LARGE;
    *number = (int64_t)(magnitude << shift);
    if (negative)
        *number = -*number;
    if (*number < self->min)
        return TOO_SMALL;
    return *number > self->max ? TOO_LARGE : GOOD;
}

static bool text_is(const char *text, const char *word)
{
    for (; *text != '\0' && to_upper(*text) == to_upper(*word); text++)
        word++;
    return *text == *word;
}

// What a plain number is not: a share of the memory there is, kept as a number below 0, or `auto`.
static enum verdict parse_limit(const struct option_info *self, const char *text, int64_t *number)
{
    uint64_t percent;
    const char *rest = parse_digits(text, &percent);
    if (text_is(text, "auto")) {
        *number = LIMIT_AUTO;
        return GOOD;
    }
    if (rest == text || rest[0] != '%' || rest[1] != '\0')
        return parse_number(self, text, number);
    if (percent == 0 || percent > 100)
        return percent == 0 ? TOO_SMALL : TOO_LARGE;
    *number = -(int64_t)percent;
    return GOOD;
}

static enum verdict parse_bool(const char *text, int64_t *number)
{
    static const char *const words[] = {"0", "1", "off", "on", "no", "yes", "false", "true"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (text_is(text, words[i])) {
            *number = (int64_t)(i % 2);
            return GOOD;
        }
    }
    return MALFORMED;
}

// A form is a word to be met exactly, or a word with PATH at its end in place of which something must stand.
static bool form_accepts(const char *form, size_t length, const char *text)
{
    const size_t path = sizeof "PATH" - 1;
    bool open = length > path && memcmp(form + length - path, "PATH", path) == 0;
    size_t fixed = open ? length - path : length;
    if (strncmp(text, form, fixed) != 0)
        return false;
    return open ? text[fixed] != '\0' : text[fixed] == '\0';
}

static enum verdict parse_text(const char *forms, const char *text)
{
    while (*forms != '\0') {
        size_t length = strcspn(forms, " ");
        if (form_accepts(forms, length, text))
            return GOOD;
        forms += length;
        forms += *forms == ' ';
    }
    return MALFORMED;
}

static enum verdict option_parse(const struct option_info *self, const char *text, struct value *value)
{
    *value = (struct value){.text = text};
    if (self->type == TEXT)
        return parse_text(self->forms, text);
    if (self->type == BOOL)
        return parse_bool(text, &value->number);
    if (self->type == LIMIT)
        return parse_limit(self, text, &value->number);
    return parse_number(self, text, &value->number);
}

static void print_limit(struct printer *printer, int64_t number)
{
    if (number == LIMIT_AUTO) {
        print_text(printer, "auto");
    } else if (number < 0) {
        print_i64(printer, -number);
        print_text(printer, "%");
    } else {
        print_size_exact(printer, (uint64_t)number);
    }
}

static void print_value(struct printer *printer, const struct option_info *self, struct value value)
{
    switch (self->type) {
    case SIZE:
        print_size_exact(printer, (uint64_t)value.number);
        break;
    case LIMIT:
        print_limit(printer, value.number);
        break;
    case COUNT:
    case MS:
        print_i64(printer, value.number);
        break;
    case BOOL:
        print_text(printer, value.number != 0 ? "on" : "off");
        break;
    case TEXT:
        print_text(printer, value.text);
        break;
    }
}

// Names and values come from outside: whatever they hold must stay one line of reasonable length.
static void print_foreign(struct printer *printer, const char *text, size_t length)
{
    enum { SHOWN = 64 };
    for (size_t i = 0; i < length && i < SHOWN; i++)
        print_bytes(printer, (unsigned char)text[i] >= ' ' && text[i] != 127 ? &text[i] : "?", 1);
    if (length > SHOWN)
        print_text(printer, "...");
}

static void print_reason(struct printer *printer, const struct option_info *self, const char *text,
                         enum verdict verdict)
{
    static const char *const malformed[] = {[SIZE] = "not a size",
                                            [LIMIT] = "neither a size nor a percentage nor auto",
                                            [COUNT] = "not a number",
                                            [MS] = "not a number",
                                            [BOOL] = "neither on nor off"};
    if ((verdict == TOO_SMALL || verdict == TOO_LARGE) && self->type == LIMIT && strchr(text, '%') != NULL) {
        print_text(printer, verdict == TOO_SMALL ? "less than 1%" : "more than 100%");
    } else if (verdict == TOO_SMALL || verdict == TOO_LARGE) {
        print_text(printer, verdict == TOO_SMALL ? "less than " : "more than ");
        print_value(printer, self, (struct value){.number = verdict == TOO_SMALL ? self->min : self->max});
    } else if (self->type == TEXT) {
        print_text(printer, "none of ");
        print_text(printer, self->forms);
    } else {
        print_text(printer, malformed[self->type]);
    }
}

static void warn_value(struct printer *printer, const struct option_info *self, const char *text,
                       enum verdict verdict)
{
    print_text(printer, "tarn: ");
    print_text(printer, self->name);
    print_text(printer, "=");
    print_foreign(printer, text, strlen(text));
    print_text(printer, ": ");
    print_reason(printer, self, text, verdict);
    print_text(printer, "; using ");
    print_value(printer, self, option_default(self));
    print_text(printer, "\n");
    print_flush(printer);
}

static void warn_name(struct printer *printer, const char *name, size_t length)
{
    print_text(printer, "tarn: ");
    print_foreign(printer, name, length);
    print_text(printer, ": no such option\n");
    print_flush(printer);
}

// `name` is without the prefix.
static const struct option_info *option_find(const char *name, size_t length)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const char *known = table[i].name + PREFIX_LENGTH;
        if (strlen(known) == length && memcmp(known, name, length) == 0)
            return &table[i];
    }
    return NULL;
}

static void load_one(const char *entry, uint64_t *seen, struct printer *warnings)
{
    if (strncmp(entry, PREFIX, PREFIX_LENGTH) != 0)
        return;
    size_t length = strcspn(entry, "=");
    if (entry[length] == '\0')
        return;
    const struct option_info *option = option_find(entry + PREFIX_LENGTH, length - PREFIX_LENGTH);
    if (option == NULL) {
        warn_name(warnings, entry, length);
        return;
    }
    uint64_t bit = UINT64_C(1) << (option - table);
    if (*seen & bit) // getenv would not see a second entry of the same name either
        return;
    *seen |= bit;
    const char *text = entry + length + 1;
    struct value value;
    enum verdict verdict = option_parse(option, text, &value);
    if (verdict == GOOD)
        option_store(option, value);
    else
        warn_value(warnings, option, text, verdict);
}

void options_load(char **environment, bool secure, struct printer *warnings)
{
    _Static_assert(OPTION_COUNT <= 64, "a word has a bit for each option");
    for (size_t i = 0; i < OPTION_COUNT; i++)
        option_store(&table[i], option_default(&table[i]));
    if (environment == NULL || secure)
        return;
    uint64_t seen = 0;
    for (char **entry = environment; *entry != NULL; entry++)
        load_one(*entry, &seen, warnings);
}

static const struct option_info *option_named(const char *name)
{
    if (strncmp(name, PREFIX, PREFIX_LENGTH) == 0)
        name += PREFIX_LENGTH;
    return option_find(name, strlen(name));
}

int options_get(const char *name, char *value, size_t size)
{
    const struct option_info *option = option_named(name);
    if (option == NULL)
        return ENOENT;
    struct print_memory memory = {.size = size};
    memory.text = value;
    struct printer printer;
    printer_init(&printer, print_memory_sink, &memory);
    print_value(&printer, option, option_load(option));
    print_flush(&printer);
    return memory.length < size ? 0 : ERANGE;
}

int options_set(const char *name, const char *value)
{
    const struct option_info *option = option_named(name);
    if (option == NULL)
        return ENOENT;
    if (option->when != RUNTIME)
        return EPERM;
    struct value parsed;
    enum verdict verdict = option_parse(option, value, &parsed);
    if (verdict == GOOD)
        option_store(option, parsed);
    return verdict == GOOD ? 0 : verdict == MALFORMED ? EINVAL : ERANGE;
}

static void print_range(struct printer *printer, const struct option_info *self)
{
    print_text(printer, "(default ");
    print_value(printer, self, option_default(self));
    print_text(printer, self->type == TEXT ? "; " : self->type == BOOL ? "; on, off" : ", ");
    if (self->type == TEXT) {
        print_text(printer, self->forms);
    } else if (self->type != BOOL) {
        print_value(printer, self, (struct value){.number = self->min});
        print_text(printer, " to ");
        print_value(printer, self, (struct value){.number = self->max});
        print_text(printer, self->type == LIMIT ? ", 1% to 100%, auto" : "");
    }
    print_text(printer, ")\n");
}

// Breaks lines at spaces.
static void print_wrapped(struct printer *printer, const char *text)
{
    enum { INDENT = 6, WIDTH = 90 };
    while (*text != '\0') {
        size_t length = strlen(text);
        if (length > WIDTH)
            for (length = WIDTH; text[length] != ' ';)
                length--;
        print_padded(printer, "", INDENT);
        print_bytes(printer, text, length);
        print_text(printer, "\n");
        text += length;
        text += *text == ' ';
    }
}

void options_print(struct printer *printer)
{
    print_text(printer, "tarn: options, their values in force, and what they do\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        print_text(printer, "  ");
        print_padded(printer, table[i].name, -22);
        print_value(printer, &table[i], option_load(&table[i]));
        print_text(printer, "  ");
        print_range(printer, &table[i]);
        print_wrapped(printer, table[i].text);
    }
    print_flush(printer);
}
