// SPDX-License-Identifier: MIT
// The public functions that are more than a name for an internal one.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <tarn/tarn.h>
#include <unistd.h>

Test(api, an_option_is_read_before_the_first_allocation)
{
    char value[32];
    cr_assert_eq(tarn_option_get("TARN_DECAY_MS", value, sizeof value), 0);
    cr_assert_str_eq(value, "1000");
    cr_assert_eq(tarn_option_get("DECAY_MS", value, 4), ERANGE);
    cr_assert_eq(tarn_option_get("NO_SUCH", value, sizeof value), ENOENT);
}

Test(api, events_are_of_one_of_two_limits)
{
    int soft = tarn_limit_event_fd(TARN_LIMIT_SOFT);
    cr_assert_geq(soft, 0);
    cr_assert_eq(tarn_limit_event_fd(TARN_LIMIT_SOFT), soft);
    errno = 0;
    cr_assert_eq(tarn_limit_event_fd((enum tarn_limit)77), -1);
    cr_assert_eq(errno, EINVAL);
}

Test(api, without_descriptors_there_are_no_events)
{
    while (dup(STDERR_FILENO) >= 0)
        continue;
    errno = 0;
    cr_assert_eq(tarn_limit_event_fd(TARN_LIMIT_HARD), -1);
    cr_assert_eq(errno, EMFILE);
}

static void append(void *text, const char *more, size_t n) { strncat(text, more, n); }

Test(api, statistics_come_in_two_formats)
{
    static char text[64 << 10];
    cr_assert_eq(tarn_stats_print((enum tarn_stats_format)77, append, text), EINVAL);
    cr_assert_eq(text[0], '\0');
    cr_assert_eq(tarn_stats_print(TARN_STATS_TEXT, append, text), 0);
    cr_assert_not_null(strstr(text, "live"));
    text[0] = '\0';
    cr_assert_eq(tarn_stats_print(TARN_STATS_JSON, append, text), 0);
    cr_assert_eq(text[0], '{');
}

Test(api, a_refused_setting_changes_nothing)
{
    char value[32];
    cr_assert_eq(tarn_option_set("DECAY_MS", "soon"), EINVAL);
    cr_assert_eq(tarn_option_get("DECAY_MS", value, sizeof value), 0);
    cr_assert_str_eq(value, "1000");
}

Test(api, the_version_is_three_numbers)
{
    unsigned numbers[3];
    char rest;
    cr_assert_eq(sscanf(tarn_version(), "%u.%u.%u%c", &numbers[0], &numbers[1], &numbers[2], &rest), 3);
}

// Before the first allocation there is nothing that could break an invariant, nor anything to give back.
Test(api, a_heap_that_was_never_used_is_whole)
{
    cr_assert_eq(tarn_validate(), 0);
    cr_assert_eq(tarn_collect(), 0u);
}
