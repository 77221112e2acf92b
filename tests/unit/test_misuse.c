// SPDX-License-Identifier: MIT
#include "core/misuse.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char said[512];

// Runs the call in a child, which must end by SIGABRT; what it wrote to standard error is in `said`.
static void run(void (*call)(void))
{
    int ends[2], status = 0;
    size_t length = 0;
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        call();
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], said + length, sizeof said - 1 - length)) > 0;)
        length += (size_t)n;
    close(ends[0]);
    said[length] = '\0';
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status));
    cr_assert_eq(WTERMSIG(status), SIGABRT);
}

static void *address(unsigned long n) { return (void *)n; }

static void double_free(void) { misuse_double_free(address(0x7f0000001000), NO_SITES); }
static void foreign_free(void) { misuse_foreign("free", address(0x7f0000001000)); }
static void foreign_usable(void) { misuse_foreign("malloc_usable_size", address(0x1)); }
static void interior_free(void)
{
    misuse_interior("free", address(0x7f0000001010), address(0x7f0000001000), NO_SITES);
}
static void interior_realloc(void)
{
    misuse_interior("realloc", address(0xfffffffffffffff0), address(0x7f0000001000), NO_SITES);
}
static void overrun(void) { misuse_overrun(address(0x7f0000001000), 112, NO_SITES); }
static void written(void) { misuse_written_after_free(address(0x7f0000001000), 112, NO_SITES); }
static void wrong_size(void) { misuse_size("free", address(0x7f0000001000), 100, 64, NO_SITES); }
static void huge_size(void) { misuse_size("free", address(0x7f0000001000), (size_t)-1, 0, NO_SITES); }

Test(misuse, double_free)
{
    run(double_free);
    cr_assert_str_eq(said, "tarn: double free of 0x7f0000001000\n");
}

Test(misuse, foreign)
{
    run(foreign_free);
    cr_assert_str_eq(said, "tarn: free of 0x7f0000001000, which tarn did not allocate\n");
    run(foreign_usable);
    cr_assert_str_eq(said, "tarn: malloc_usable_size of 0x1, which tarn did not allocate\n");
}

Test(misuse, interior)
{
    run(interior_free);
    cr_assert_str_eq(said, "tarn: free of 0x7f0000001010, which lies inside the block at 0x7f0000001000\n");
    run(interior_realloc);
    cr_assert_str_eq(said,
                     "tarn: realloc of 0xfffffffffffffff0, which lies inside the block at 0x7f0000001000\n");
}

Test(misuse, slots)
{
    run(overrun);
    cr_assert_str_eq(said, "tarn: overrun of 0x7f0000001000, in a slot of 112 bytes\n");
    run(written);
    cr_assert_str_eq(said, "tarn: use after free of 0x7f0000001000: written to, in a slot of 112 bytes\n");
}

Test(misuse, size)
{
    run(wrong_size);
    cr_assert_str_eq(said, "tarn: free of 0x7f0000001000 with size 100, but its block holds 64 bytes\n");
    run(huge_size);
    cr_assert_str_eq(
        said, "tarn: free of 0x7f0000001000 with size 18446744073709551615, but its block holds 0 bytes\n");
}

Test(misuse, the_process_itself_ends_by_abort, .signal = SIGABRT)
{
    misuse_double_free(address(0x10), NO_SITES);
}
