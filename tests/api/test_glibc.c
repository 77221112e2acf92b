// SPDX-License-Identifier: MIT
// What glibc adds to malloc: statistics, trimming and tuning calls, and that all names come from one library.

#define _GNU_SOURCE // dladdr
#include "../support/mincore.h"
#include "../support/names.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(glibc, .timeout = 60);

static const char *const names[] = {
    "malloc",       "calloc",         "realloc",  "reallocarray", "free",        "aligned_alloc",
    "memalign",     "posix_memalign", "valloc",   "pvalloc",      "malloc_trim", "malloc_usable_size",
    "malloc_stats", "malloc_info",    "mallinfo", "mallinfo2",    "mallopt"};
static const char *const operators[] = {
    "_Znwm",                               // new
    "_Znam",                               // new[]
    "_ZnwmRKSt9nothrow_t",                 // the same, nothrow
    "_ZnamRKSt9nothrow_t",                 //
    "_ZnwmSt11align_val_t",                // aligned
    "_ZnamSt11align_val_t",                //
    "_ZnwmSt11align_val_tRKSt9nothrow_t",  //
    "_ZnamSt11align_val_tRKSt9nothrow_t",  //
    "_ZdlPv",                              // delete
    "_ZdaPv",                              // delete[]
    "_ZdlPvm",                             // sized
    "_ZdaPvm",                             //
    "_ZdlPvRKSt9nothrow_t",                // nothrow
    "_ZdaPvRKSt9nothrow_t",                //
    "_ZdlPvSt11align_val_t",               // aligned
    "_ZdaPvSt11align_val_t",               //
    "_ZdlPvmSt11align_val_t",              // sized and aligned
    "_ZdaPvmSt11align_val_t",              //
    "_ZdlPvSt11align_val_tRKSt9nothrow_t", //
    "_ZdaPvSt11align_val_tRKSt9nothrow_t", //
};

static const char *library_of(const char *name)
{
    Dl_info info;
    void *found = dlsym(RTLD_DEFAULT, name);
    return found != NULL && dladdr(found, &info) != 0 ? info.dli_fname : "nowhere";
}

// A name left to the C library would hand out or take blocks that the other one does not know.
Test(glibc, all_names_come_from_one_library)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        cr_expect_str_eq(library_of(names[i]), library_of("malloc"), "%s", names[i]);
}

Test(glibc, the_preloaded_library_answers)
{
    const char *expected = getenv("TARN_TEST_LIBRARY");
    if (expected == NULL)
        cr_skip("TARN_TEST_LIBRARY does not say which library to expect");
    cr_expect_str_eq(library_of("malloc"), expected);
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
        cr_expect_str_eq(library_of(operators[i]), expected, "%s", operators[i]);
    cr_expect_str_eq(library_of("free_sized"), expected);
    cr_expect_str_eq(library_of("free_aligned_sized"), expected);
    cr_expect_str_eq(library_of("tarn_malloc"), expected);
}

// Trimming is advice: it may give pages back or find none, and all that lives stays.
Test(glibc, malloc_trim_answers_and_harms_nothing)
{
    enum { COUNT = 200 };
    static unsigned char *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = mem_malloc(100 + i * 500);
        memset(blocks[i], (int)i, 100 + i * 500);
    }
    for (size_t i = 0; i < COUNT; i += 2)
        mem_free(blocks[i]);
    for (size_t pad = 0; pad < (size_t)16 << 20; pad = pad * 2 + 4096) {
        int trimmed = malloc_trim(pad);
        cr_expect(trimmed == 0 || trimmed == 1, "malloc_trim(%zu) = %d", pad, trimmed);
    }
    for (size_t i = 1; i < COUNT; i += 2) {
        for (size_t j = 0; j < 100 + i * 500; j++)
            cr_assert_eq(blocks[i][j], (unsigned char)i);
        mem_free(blocks[i]);
    }
}

static size_t in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void expect_in_use_follows(size_t size, size_t count)
{
    static void *blocks[4096];
    size_t before = in_use();
    for (size_t i = 0; i < count; i++)
        blocks[i] = mem_malloc(size);
    size_t during = in_use();
    for (size_t i = 0; i < count; i++)
        mem_free(blocks[i]);
    cr_expect_geq(during, before + size * count, "%zu blocks of %zu: %zu to %zu", count, size, before,
                  during);
    cr_expect_leq(during, before + size * count * 5 / 4 + ((size_t)1 << 20), "%zu blocks of %zu: %zu to %zu",
                  count, size, before, during);
    cr_expect_leq(in_use(), before + ((size_t)1 << 20), "%zu blocks of %zu are freed", count, size);
}

Test(glibc, mallinfo2_counts_what_is_in_use)
{
    expect_in_use_follows(1000, 4096);
    expect_in_use_follows(20000, 1000);
    expect_in_use_follows((size_t)5 << 20, 10);
    expect_in_use_follows((size_t)200 << 20, 1);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
Test(glibc, mallinfo_agrees_with_mallinfo2)
{
    void *block = mem_malloc((size_t)100 << 20);
    struct mallinfo narrow = mallinfo();
    struct mallinfo2 wide = mallinfo2();
    cr_expect_eq((size_t)narrow.uordblks + (size_t)narrow.hblkhd, wide.uordblks + wide.hblkhd);
    cr_expect_geq(narrow.arena, 0);
    cr_expect_geq(narrow.fordblks, 0);
    mem_free(block);
}
#pragma GCC diagnostic pop

Test(glibc, mallinfo2_is_free_of_nonsense)
{
    struct mallinfo2 info = mallinfo2();
    const size_t sane = (size_t)1 << 46;
    const size_t fields[] = {info.arena,   info.ordblks, info.smblks,   info.hblks,    info.hblkhd,
                             info.usmblks, info.fsmblks, info.uordblks, info.fordblks, info.keepcost};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        cr_expect_lt(fields[i], sane, "field %zu", i);
}

Test(glibc, malloc_info_writes_xml)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    cr_assert_not_null(stream);
    cr_expect_eq(malloc_info(0, stream), 0);
    fclose(stream);
    cr_expect_not_null(strstr(text, "<malloc"));
    cr_expect_not_null(strstr(text, "</malloc>"));
    free(text);
}

Test(glibc, malloc_info_knows_no_options)
{
    FILE *stream = tmpfile();
    cr_expect_eq(malloc_info(1, stream), EINVAL);
    cr_expect_eq(malloc_info(-1, stream), EINVAL);
    cr_expect_eq(ftell(stream), 0);
    fclose(stream);
}

Test(glibc, malloc_stats_writes_to_stderr)
{
    if (!mincore_keeps_within_bounds())
        cr_skip("mincore writes more than it should");
    FILE *capture = tmpfile();
    int kept = dup(STDERR_FILENO);
    cr_assert(capture != NULL && kept >= 0);
    fflush(stderr);
    dup2(fileno(capture), STDERR_FILENO);
    malloc_stats();
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    cr_expect_gt(lseek(fileno(capture), 0, SEEK_END), 0);
    fclose(capture);
}

Test(glibc, mallopt_answers_zero_or_one)
{
    const int parameters[] = {M_MXFAST,    M_TRIM_THRESHOLD,
                              M_TOP_PAD,   M_MMAP_THRESHOLD,
                              M_MMAP_MAX,  M_CHECK_ACTION,
                              M_PERTURB,   M_ARENA_TEST,
                              M_ARENA_MAX, 0,
                              99,          -99};
    const int values[] = {0, 1, 2, 65536, 1 << 20, -1};
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++)
        for (size_t j = 0; j < sizeof values / sizeof values[0]; j++) {
            int answer = mallopt(parameters[i], values[j]);
            cr_expect(answer == 0 || answer == 1, "mallopt(%d, %d) = %d", parameters[i], values[j], answer);
        }
    void *block = mem_malloc(100000);
    cr_expect_not_null(block);
    mem_free(mem_realloc(block, 300000));
}
