// SPDX-License-Identifier: MIT
// The public functions that are more than a name for an internal one.
#include <criterion/criterion.h>
#include <errno.h>
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
