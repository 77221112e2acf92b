// SPDX-License-Identifier: MIT
// Stands in for Criterion where it is not packaged (another processor, another C library): the part of its
// interface that the tests here use. Assertions: any thread. The rest: one thread.

#ifndef TESTS_SUPPORT_STAND_IN_CRITERION_H
#define TESTS_SUPPORT_STAND_IN_CRITERION_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

// In the order in which the tests name them, which C++ insists on.
struct stand_in_options {
    bool none; // so that an empty list of options is a list
    void (*init)(void);
    void (*fini)(void);
    int signal;
    double timeout;
};

struct stand_in_test {
    const char *suite, *name; // a NULL name: what holds for the whole suite
    void (*body)(void);
    struct stand_in_options options;
    struct stand_in_test *next;
};

void stand_in_add(struct stand_in_test *test);
// Marks the running test as failed and says where.
void stand_in_note(const char *file, int line, const char *condition, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// The same, and ends the test's process.
void stand_in_stop(const char *file, int line, const char *condition, const char *format, ...)
    __attribute__((noreturn, format(printf, 4, 5)));
void stand_in_skip(void) __attribute__((noreturn));

#ifdef __cplusplus
}
#endif

#define STAND_IN_ADD(id, ...)                                                                                \
    static struct stand_in_test id##_entry = {__VA_ARGS__, NULL};                                            \
    __attribute__((constructor)) static void id##_add(void) { stand_in_add(&id##_entry); }

#define Test(suite_, name_, ...)                                                                             \
    static void suite_##_##name_##_body(void);                                                               \
    STAND_IN_ADD(suite_##_##name_, #suite_, #name_, suite_##_##name_##_body, {.none = true, __VA_ARGS__})    \
    static void suite_##_##name_##_body(void)

#define TestSuite(suite_, ...)                                                                               \
    STAND_IN_ADD(suite_##_suite, #suite_, NULL, NULL, {.none = true, __VA_ARGS__})                           \
    extern struct stand_in_test suite_##_takes_a_semicolon

#define STAND_IN_CHECK(call, condition, text, ...)                                                           \
    ((condition) ? (void)0 : stand_in_##call(__FILE__, __LINE__, text, "" __VA_ARGS__))
#define STAND_IN_COMPARE(call, a, operator_, b, ...)                                                         \
    STAND_IN_CHECK(call, (a)operator_(b), #a " " #operator_ " " #b, __VA_ARGS__)

#define cr_assert(condition, ...) STAND_IN_CHECK(stop, condition, #condition, __VA_ARGS__)
#define cr_assert_not(condition, ...) STAND_IN_CHECK(stop, !(condition), "not " #condition, __VA_ARGS__)
#define cr_assert_fail(...) STAND_IN_CHECK(stop, false, "fails", __VA_ARGS__)
#define cr_assert_null(p, ...) STAND_IN_COMPARE(stop, p, ==, NULL, __VA_ARGS__)
#define cr_assert_not_null(p, ...) STAND_IN_COMPARE(stop, p, !=, NULL, __VA_ARGS__)
#define cr_assert_eq(a, b, ...) STAND_IN_COMPARE(stop, a, ==, b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) STAND_IN_COMPARE(stop, a, !=, b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...) STAND_IN_COMPARE(stop, a, <, b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) STAND_IN_COMPARE(stop, a, <=, b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...) STAND_IN_COMPARE(stop, a, >, b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) STAND_IN_COMPARE(stop, a, >=, b, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) STAND_IN_CHECK(stop, strcmp(a, b) == 0, #a " is " #b, __VA_ARGS__)

#define cr_expect(condition, ...) STAND_IN_CHECK(note, condition, #condition, __VA_ARGS__)
#define cr_expect_not(condition, ...) STAND_IN_CHECK(note, !(condition), "not " #condition, __VA_ARGS__)
#define cr_expect_null(p, ...) STAND_IN_COMPARE(note, p, ==, NULL, __VA_ARGS__)
#define cr_expect_not_null(p, ...) STAND_IN_COMPARE(note, p, !=, NULL, __VA_ARGS__)
#define cr_expect_eq(a, b, ...) STAND_IN_COMPARE(note, a, ==, b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...) STAND_IN_COMPARE(note, a, !=, b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...) STAND_IN_COMPARE(note, a, <, b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...) STAND_IN_COMPARE(note, a, <=, b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...) STAND_IN_COMPARE(note, a, >, b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...) STAND_IN_COMPARE(note, a, >=, b, __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) STAND_IN_CHECK(note, strcmp(a, b) == 0, #a " is " #b, __VA_ARGS__)

#define cr_skip(...) stand_in_skip()
#define cr_skip_test(...) stand_in_skip()

#endif
