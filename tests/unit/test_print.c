// SPDX-License-Identifier: MIT
#include "core/print.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

static char text[2048];
static struct print_memory memory;
static struct printer printer;

static void begin(void)
{
    memory = (struct print_memory){.text = text, .size = sizeof text};
    text[0] = '\0';
    printer_init(&printer, print_memory_sink, &memory);
}

static const char *end(void)
{
    print_flush(&printer);
    return text;
}

TestSuite(print, .init = begin);

Test(print, text_appears_after_flush)
{
    print_text(&printer, "tarn: ");
    print_text(&printer, "");
    print_bytes(&printer, "hello, world", 5);
    cr_assert_str_eq(text, "");
    cr_assert_str_eq(end(), "tarn: hello");
    cr_assert_str_eq(end(), "tarn: hello");
}

static const char *u64(uint64_t value)
{
    begin();
    print_u64(&printer, value);
    return end();
}

Test(print, unsigned_numbers)
{
    cr_assert_str_eq(u64(0), "0");
    cr_assert_str_eq(u64(7), "7");
    cr_assert_str_eq(u64(10), "10");
    cr_assert_str_eq(u64(UINT64_MAX), "18446744073709551615");
}

static const char *i64(int64_t value)
{
    begin();
    print_i64(&printer, value);
    return end();
}

Test(print, signed_numbers)
{
    cr_assert_str_eq(i64(0), "0");
    cr_assert_str_eq(i64(-1), "-1");
    cr_assert_str_eq(i64(INT64_MAX), "9223372036854775807");
    cr_assert_str_eq(i64(INT64_MIN), "-9223372036854775808");
}

static const char *hex(uintptr_t value)
{
    begin();
    print_hex(&printer, value);
    return end();
}

Test(print, addresses)
{
    cr_assert_str_eq(hex(0), "0x0");
    cr_assert_str_eq(hex(0x7f0000001000), "0x7f0000001000");
    cr_assert_str_eq(hex(UINTPTR_MAX), "0xffffffffffffffff");
}

static const char *size(uint64_t bytes)
{
    begin();
    print_size(&printer, bytes);
    return end();
}

Test(print, sizes_below_a_unit_are_plain)
{
    cr_assert_str_eq(size(0), "0");
    cr_assert_str_eq(size(1000), "1000");
    cr_assert_str_eq(size(1023), "1023");
}

Test(print, sizes_have_one_decimal_unless_it_is_zero)
{
    cr_assert_str_eq(size(1024), "1K");
    cr_assert_str_eq(size(1536), "1.5K");
    cr_assert_str_eq(size(1024 + 51), "1K");
    cr_assert_str_eq(size(1024 + 52), "1.1K");
    cr_assert_str_eq(size(3 << 19), "1.5M");
    cr_assert_str_eq(size(UINT64_C(64) << 30), "64G");
    cr_assert_str_eq(size(UINT64_C(5) << 40), "5T");
    cr_assert_str_eq(size(UINT64_C(5) << 50), "5P");
}

Test(print, sizes_round_into_the_next_unit)
{
    cr_assert_str_eq(size((1 << 20) - 1), "1M");
    cr_assert_str_eq(size((UINT64_C(1) << 40) - 1), "1T");
    cr_assert_str_eq(size(1023 << 10), "1023K");
    cr_assert_str_eq(size(UINT64_MAX), "16E");
}

static const char *exact(uint64_t bytes)
{
    begin();
    print_size_exact(&printer, bytes);
    return end();
}

Test(print, exact_sizes_use_a_unit_only_where_nothing_is_lost)
{
    cr_assert_str_eq(exact(0), "0");
    cr_assert_str_eq(exact(1), "1");
    cr_assert_str_eq(exact(65536), "64K");
    cr_assert_str_eq(exact(65537), "65537");
    cr_assert_str_eq(exact(3 << 19), "1536K");
    cr_assert_str_eq(exact(UINT64_C(1) << 40), "1T");
    cr_assert_str_eq(exact(UINT64_C(1) << 63), "8E");
    cr_assert_str_eq(exact(UINT64_MAX), "18446744073709551615");
}

Test(print, columns)
{
    print_padded(&printer, "ab", -4);
    print_padded(&printer, "cd", 4);
    print_padded(&printer, "efghi", 4);
    print_padded(&printer, "jklmn", -4);
    print_padded(&printer, "o", 0);
    print_u64_padded(&printer, 42, 5);
    print_size_padded(&printer, 2048, 5);
    print_size_padded(&printer, 2048, -5);
    print_text(&printer, "|");
    cr_assert_str_eq(end(), "ab    cdefghijklmno   42   2K2K   |");
}

struct pieces {
    size_t count;
    size_t total;
    size_t longest;
};

static void count_piece(void *arg, const char *piece, size_t n)
{
    struct pieces *pieces = arg;
    (void)piece;
    pieces->count++;
    pieces->total += n;
    pieces->longest = n > pieces->longest ? n : pieces->longest;
}

Test(print, a_line_shorter_than_the_buffer_is_one_piece)
{
    struct pieces pieces = {0};
    printer_init(&printer, count_piece, &pieces);
    for (size_t i = 0; i < sizeof printer.buffer - 1; i++)
        print_text(&printer, "x");
    print_flush(&printer);
    cr_assert_eq(pieces.count, 1);
    cr_assert_eq(pieces.total, sizeof printer.buffer - 1);
}

Test(print, long_text_passes_through_in_pieces)
{
    char many[1001];
    memset(many, 'y', 1000);
    many[1000] = '\0';
    print_text(&printer, "<");
    print_text(&printer, many);
    print_text(&printer, ">");
    const char *printed = end();
    cr_assert_eq(strlen(printed), 1002);
    cr_assert_eq(printed[0], '<');
    cr_assert_eq(memcmp(printed + 1, many, 1000), 0);
    cr_assert_eq(printed[1001], '>');
}

Test(print, memory_is_terminated_and_counts_what_did_not_fit)
{
    char little[4] = "zzz";
    struct print_memory target = {.text = little, .size = sizeof little};
    print_memory_sink(&target, "ab", 2);
    cr_assert_str_eq(little, "ab");
    print_memory_sink(&target, "cdef", 4);
    cr_assert_str_eq(little, "abc");
    print_memory_sink(&target, "g", 1);
    cr_assert_str_eq(little, "abc");
    cr_assert_eq(target.length, 7);
}

Test(print, a_full_target_stays_as_it_is)
{
    char little[3] = "";
    struct print_memory target = {.text = little, .size = sizeof little};
    print_memory_sink(&target, "abc", 3);
    cr_assert_str_eq(little, "ab");
    print_memory_sink(&target, "d", 1);
    cr_assert_str_eq(little, "ab");
    cr_assert_eq(target.length, 4);
}

Test(print, file_descriptor)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    printer_init_fd(&printer, ends[1]);
    print_text(&printer, "to a pipe\n");
    print_flush(&printer);
    char read_back[32] = "";
    cr_assert_eq(read(ends[0], read_back, sizeof read_back - 1), 10);
    cr_assert_str_eq(read_back, "to a pipe\n");
}
