// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "core/os.h"

#include "../support/mappings.h"
#include "core/bits.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static void sleep_ms(long ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }

// The kernel tells whether an address can be read or written without a fault in this process.
static bool is_readable(const void *p)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    int saved = errno;
    bool ok = write(ends[1], p, 1) == 1;
    errno = saved;
    close(ends[0]);
    close(ends[1]);
    return ok;
}

static bool is_writable(void *p)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    int saved = errno;
    bool ok = read(ends[0], p, 1) == 1;
    errno = saved;
    close(ends[0]);
    close(ends[1]);
    return ok;
}

static bool is_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

Test(os, page_size_is_a_power_of_two)
{
    cr_assert(is_power_of_two(os_page_size()));
    cr_assert_eq(os_page_size(), (size_t)sysconf(_SC_PAGESIZE));
}

Test(os, reserve_aligns_and_keeps_only_what_was_asked_for)
{
    for (size_t align = os_page_size(); align <= (size_t)1 << 30; align *= 2) {
        char *p = os_reserve(64 * os_page_size(), align);
        cr_assert_not_null(p);
        cr_assert_eq((uintptr_t)p % align, 0);
        cr_assert_not(is_readable(p));
        char *end = p + 64 * os_page_size();
        cr_assert_not(os_reserve_at(end - os_page_size(), os_page_size()));
        if (align >= MIB) { // both sides are free, or were part of the mapping that was trimmed
            cr_assert(os_reserve_at(end, os_page_size()), "the tail stays mapped for %zu", align);
            cr_assert(os_reserve_at(p - os_page_size(), os_page_size()), "the head stays mapped for %zu",
                      align);
            os_release(end, os_page_size());
            os_release(p - os_page_size(), os_page_size());
        }
        os_release(p, 64 * os_page_size()); // or the next one might lie beside it
    }
}

Test(os, reserve_finds_an_aligned_place_with_one_mapping)
{
    size_t size = 64 * os_page_size(), align = 32 * MIB;
    uint32_t before = os_fallible_calls();
    char *p = os_reserve(size, align);
    cr_assert_eq(os_fallible_calls() - before, 1u);
    cr_assert_eq((uintptr_t)p % align, 0u);
    char *second = os_reserve(size, align); // the same place is taken
    cr_assert_eq((uintptr_t)second % align, 0u);
    cr_assert(second >= p + size || second + size <= p);
    cr_assert(os_reserve_at(second + size, os_page_size()), "the tail stays mapped");
    cr_assert(os_reserve_at(second - os_page_size(), os_page_size()), "the head stays mapped");
    os_release(p, size);
    os_release(second, size);
}

Test(os, reserve_refuses_the_impossible)
{
    errno = EDOM;
    cr_assert_null(os_reserve((size_t)1 << 62, os_page_size()));
    cr_assert_null(os_reserve(SIZE_MAX, os_page_size()));
    cr_assert_null(os_reserve(SIZE_MAX - MIB, 2 * MIB));
    cr_assert_null(os_map((size_t)1 << 62));
    cr_assert_null(os_map_zeros((size_t)1 << 62));
    cr_assert_eq(errno, EDOM);
}

Test(os, reserve_at_takes_exactly_a_free_place)
{
    char *p = os_reserve(4 * MIB, MIB);
    os_release(p + MIB, 2 * MIB);
    errno = EDOM;
    cr_assert(os_reserve_at(p + MIB, MIB));
    cr_assert_not(is_readable(p + MIB));
    cr_assert_not(os_reserve_at(p + MIB, MIB));
    cr_assert_not(os_reserve_at(p + MIB, 2 * MIB));
    cr_assert_eq(errno, EDOM);
    cr_assert(os_reserve_at(p + 2 * MIB, MIB), "a refused reservation left something behind");
}

Test(os, reserve_at_does_not_harm_what_lies_there)
{
    char *p = os_map(MIB);
    p[5] = 'k';
    cr_assert_not(os_reserve_at(p, MIB));
    cr_assert_eq(p[5], 'k');
}

Test(os, commit_and_decommit)
{
    unsigned char *p = os_reserve(MIB, MIB);
    errno = EDOM;
    for (int round = 0; round < 2; round++) {
        cr_assert(os_commit(p, MIB));
        cr_assert(is_zero(p, MIB));
        memset(p, 7, MIB);
        os_decommit(p, MIB);
        cr_assert_not(is_readable(p));
        cr_assert_not(is_readable(p + MIB - 1));
        cr_assert_not(os_reserve_at(p, MIB), "the address space was given up");
    }
    cr_assert_eq(errno, EDOM);
}

Test(os, commit_rounds_to_pages_and_fails_where_nothing_is_reserved)
{
    char *p = os_reserve(4 * os_page_size(), os_page_size());
    cr_assert(os_commit(p + os_page_size() + 100, 8));
    cr_assert_not(is_readable(p));
    cr_assert(is_writable(p + os_page_size()));
    cr_assert_not(is_readable(p + 2 * os_page_size()));
    os_release(p, 4 * os_page_size());
    errno = EDOM;
    cr_assert_not(os_commit(p, os_page_size()));
    cr_assert_eq(errno, EDOM);
}

Test(os, purge_gives_zeros_and_nothing_beyond)
{
    unsigned char *p = os_map(MIB);
    memset(p, 7, MIB);
    cr_assert(os_purge(p + MIB / 4, MIB / 2));
    cr_assert_eq(p[MIB / 4 - 1], 7);
    cr_assert(is_zero(p + MIB / 4, MIB / 2));
    cr_assert_eq(p[MIB / 4 * 3], 7);
    p[MIB / 2] = 1;
    os_release(p, MIB);
    errno = EDOM;
    cr_assert_not(os_purge(p, MIB));
    cr_assert_eq(errno, EDOM);
}

// Like the heap's memory: all of it was advised about huge pages.
static char *advised(size_t pages)
{
    char *p = os_reserve(pages * os_page_size(), os_page_size());
    os_advise_huge(p, pages * os_page_size(), false);
    cr_assert(os_commit(p, pages * os_page_size()));
    memset(p, 1, pages * os_page_size());
    return p;
}

Test(os, populated_memory_is_there_and_zero)
{
    enum { PAGES = 8 };
    char *p = os_map(PAGES * os_page_size());
    p[os_page_size()] = 1;
    errno = 0;
    os_populate(p, PAGES * os_page_size());
    cr_assert_eq(errno, 0);
    size_t resident = os_resident_pages(p, PAGES * os_page_size());
    cr_assert(resident == PAGES || resident == 1, "all of it, or an old kernel");
    cr_assert_eq(p[os_page_size()], 1);
    cr_assert_eq(p[0], 0);
}

Test(os, what_was_forbidden_becomes_one_with_its_neighbours_again)
{
    size_t page = os_page_size();
    char *p = advised(8);
    errno = EDOM;
    cr_assert_eq(mappings_of(p, 8 * page), 1u);
    cr_assert(os_forbid(p + 3 * page, 2 * page));
    size_t mappings = mappings_of(p, 8 * page);
    cr_assert(mappings == 3 || mappings == 1, "parted, or marked by a new kernel");
    cr_assert(!is_readable(p + 3 * page) && !is_readable(p + 5 * page - 1) && is_writable(p + 5 * page));
    cr_assert(os_permit(p + 3 * page, 2 * page));
    cr_assert_eq(mappings_of(p, 8 * page), 1u);
    cr_assert(p[3 * page] == 0 && p[5 * page - 1] == 0 && p[3 * page - 1] == 1);
    cr_assert_eq(errno, EDOM);
}

Test(os, locked_memory_goes_back_too_when_it_is_forbidden)
{
    size_t page = os_page_size();
    char *p = advised(3);
    if (mlock(p, 3 * page) != 0)
        return; // a process may lock nothing here
    cr_assert(os_forbid(p + page, page));
    cr_assert_not(is_readable(p + page));
    cr_assert(os_permit(p + page, page));
    cr_assert(p[page] == 0 && p[0] == 1);
}

#define REFUSE_CALL(number)                                                                                  \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define REFUSED_CALLS(...)                                                                                   \
    {                                                                                                        \
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, nr)), __VA_ARGS__,        \
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),                                                    \
    }

// An emulator has no such filter.
static void refuse(struct sock_filter *rules, size_t n)
{
    struct sock_fprog program = {(unsigned short)n, rules};
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        cr_skip("calls cannot be filtered");
}

// As older kernels do, and memory that was locked meanwhile.
Test(os, ranges_are_forbidden_and_permitted_without_marks_too)
{
    enum { INSTALL = 102 };
    size_t page = os_page_size();
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, args[2])),
        REFUSE_CALL(INSTALL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    char *p = advised(8);
    cr_assert(os_forbid(p + page, page));
    refuse(rules, sizeof rules / sizeof rules[0]);
    cr_assert(os_forbid(p + 3 * page, 2 * page));
    cr_assert(!is_readable(p + page) && !is_readable(p + 3 * page) && !is_readable(p + 5 * page - 1));
    cr_assert(os_permit(p + 3 * page, page) && os_permit(p + page, page) && os_permit(p + 4 * page, page));
    cr_assert_eq(mappings_of(p, 8 * page), 1u);
    cr_assert(p[page] == 0 && p[3 * page] == 0 && p[4 * page] == 0 && p[5 * page] == 1);
}

// As memory that is locked, at the limit of what may be.
Test(os, what_cannot_go_back_is_not_forbidden)
{
    size_t page = os_page_size();
    struct sock_filter rules[] = REFUSED_CALLS(REFUSE_CALL(SYS_madvise), REFUSE_CALL(SYS_mmap));
    char *p = advised(3);
    errno = EDOM;
    refuse(rules, sizeof rules / sizeof rules[0]);
    bool forbidden = os_forbid(p + page, page);
    cr_assert_eq(errno, EDOM);
    cr_assert(!forbidden && is_writable(p + page));
    cr_assert_eq(p[page + 1], 1);
}

// --- Moving.

static void skip_where_nothing_moves(void)
{
    if (!os_can_move())
        cr_skip("the kernel moves nothing");
}

Test(os, moved_memory_is_there_and_no_longer_here)
{
    skip_where_nothing_moves();
    size_t page = os_page_size();
    char *p = advised(8);
    memset(p, 2, 3 * page);
    errno = EDOM;
    cr_assert(os_move(p, p + 4 * page, 3 * page));
    cr_assert_eq(errno, EDOM);
    cr_assert_eq(os_resident_pages(p, 3 * page), 0u);
    cr_assert(is_zero((unsigned char *)p, 3 * page));
    cr_assert(p[4 * page] == 2 && p[7 * page - 1] == 2, "what was there");
    cr_assert(p[4 * page - 1] == 1 && p[7 * page] == 1, "and nothing beyond");
    cr_assert(is_writable(p) && is_writable(p + 4 * page));
}

Test(os, what_was_never_written_to_moves_too)
{
    skip_where_nothing_moves();
    size_t page = os_page_size();
    char *p = advised(4);
    cr_assert(os_purge(p, page));
    cr_assert(os_move(p, p + 2 * page, 2 * page));
    cr_assert_eq(os_resident_pages(p + 2 * page, 2 * page), 1u);
    cr_assert(p[2 * page] == 0 && p[3 * page] == 1);
}

static void expect_refused(char *p)
{
    size_t page = os_page_size();
    errno = EDOM;
    cr_assert_not(os_move(p, p + 4 * page, 3 * page));
    cr_assert_eq(errno, EDOM);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(p[i * page], 2);
    p[4 * page] = p[7 * page - 1] = 3;
}

Test(os, two_mappings_do_not_move)
{
    skip_where_nothing_moves();
    char *p = advised(8);
    memset(p, 2, 3 * os_page_size());
    cr_assert_eq(madvise(p + os_page_size(), os_page_size(), MADV_DONTDUMP), 0);
    expect_refused(p);
}

Test(os, a_move_can_be_made_to_fail)
{
    skip_where_nothing_moves();
    char *p = advised(8);
    memset(p, 2, 3 * os_page_size());
    os_fail_nth(1);
    expect_refused(p);
    cr_assert(os_move(p, p + 4 * os_page_size(), 3 * os_page_size()));
}

Test(os, locked_memory_stays)
{
    skip_where_nothing_moves();
    char *p = advised(8);
    memset(p, 2, 3 * os_page_size());
    if (syscall(SYS_mlock, p, 8 * os_page_size()) != 0) // the sanitizers' own does nothing
        return;                                         // a process may lock nothing here
    expect_refused(p);
}

Test(os, a_range_with_nothing_behind_it_moves_and_grows_by_nothing)
{
    skip_where_nothing_moves();
    size_t page = os_page_size();
    char *p = advised(8);
    os_release(p + 3 * page, page);
    memset(p, 2, 3 * page);
    cr_assert(os_move(p, p + 4 * page, 3 * page));
    cr_assert(p[4 * page] == 2 && !is_readable(p + 3 * page));
}

Test(os, what_is_renewed_is_one_mapping_again_and_zero)
{
    skip_where_nothing_moves();
    size_t page = os_page_size();
    char *p = os_map(8 * page);
    memset(p, 1, 8 * page);
    cr_assert(os_move(p, p + 4 * page, page));
    cr_assert_eq(mappings_of(p + 3 * page, 2 * page), 2u);
    errno = EDOM;
    cr_assert(os_renew(p, 8 * page));
    cr_assert_eq(errno, EDOM);
    cr_assert_eq(mappings_of(p, 8 * page), 1u);
    cr_assert(is_zero((unsigned char *)p, 8 * page) && is_writable(p));
}

Test(os, nothing_moves_where_the_kernel_knows_no_better)
{
    struct sock_filter rules[] = REFUSED_CALLS(REFUSE_CALL(SYS_mremap));
    errno = EDOM;
    refuse(rules, sizeof rules / sizeof rules[0]);
    cr_assert_not(os_can_move());
    cr_assert_not(os_can_move(), "nor when it is asked again");
    cr_assert_eq(errno, EDOM);
}

Test(os, purge_lowers_resident_memory)
{
    unsigned char *p = os_map(16 * MIB);
    size_t before = os_resident_bytes();
    memset(p, 7, 16 * MIB);
    size_t full = os_resident_bytes();
    cr_assert_geq(full, before + 15 * MIB);
    cr_assert(os_purge(p, 16 * MIB));
    cr_assert_leq(os_resident_bytes(), full - 15 * MIB);
}

Test(os, map_is_writable_and_zero_map_zeros_is_read_only)
{
    unsigned char *p = os_map(MIB), *zeros = os_map_zeros(MIB);
    cr_assert(is_zero(p, MIB));
    cr_assert(is_zero(zeros, MIB));
    cr_assert(is_writable(p));
    cr_assert_not(is_writable(zeros));
}

Test(os, release_frees_the_place)
{
    char *p = os_map(MIB);
    os_release(p, MIB);
    cr_assert_not(is_readable(p));
    cr_assert(os_reserve_at(p, MIB));
}

Test(os, address_space_limit)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_AS, &limit), 0);
    if (limit.rlim_cur == RLIM_INFINITY)
        cr_assert_eq(os_address_space_limit(), SIZE_MAX);
    limit.rlim_cur = (rlim_t)1 << 60;
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
    cr_assert_eq(os_address_space_limit(), (size_t)1 << 60);
}

Test(os, clock_counts_milliseconds_forward)
{
    uint64_t start = os_now_ms(), last = start;
    for (int i = 0; i < 10000; i++) {
        uint64_t now = os_now_ms();
        cr_assert_geq(now, last);
        last = now;
    }
    start = os_now_ms();
    sleep_ms(100);
    uint64_t passed = os_now_ms() - start;
    cr_assert_geq(passed, 80);
    cr_assert_leq(passed, 5000);
}

Test(os, memory_is_that_of_the_machine)
{
    size_t pages = (size_t)sysconf(_SC_PHYS_PAGES);
    cr_assert_geq(os_memory_bytes(), pages / 2 * os_page_size());
    cr_assert_geq(os_memory_bytes(), os_resident_bytes());
    cr_assert_lt(os_memory_bytes(), (size_t)1 << 56);
}

Test(os, cpus_are_those_this_process_may_use)
{
    cpu_set_t set;
    cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
    cr_assert_eq(os_cpu_count(), (unsigned)CPU_COUNT(&set));
    unsigned here = os_cpu();
    CPU_ZERO(&set);
    CPU_SET(here, &set);
    cr_assert_eq(sched_setaffinity(0, sizeof set, &set), 0);
    cr_assert_eq(os_cpu_count(), 1);
    cr_assert_eq(os_cpu(), here);
}

static void hide_the_machine(void)
{
    struct sock_filter rules[] = REFUSED_CALLS(REFUSE_CALL(SYS_sched_getaffinity), REFUSE_CALL(SYS_sysinfo),
                                               REFUSE_CALL(SYS_prlimit64), REFUSE_CALL(SYS_mincore));
    refuse(rules, sizeof rules / sizeof rules[0]);
}

Test(os, what_the_kernel_does_not_tell_is_taken_for_one_cpu_and_endless_memory)
{
    unsigned char state = 1;
    char *p = os_map(os_page_size());
    *p = 1;
    hide_the_machine();
    errno = 7;
    cr_expect_eq(os_cpu_count(), 1u);
    cr_expect_eq(os_memory_bytes(), SIZE_MAX);
    cr_expect_eq(os_physical_bytes(), SIZE_MAX);
    cr_expect_eq(os_address_space_limit(), SIZE_MAX);
    cr_expect_eq(os_resident_pages(p, os_page_size()), 0u);
    cr_expect_not(os_presence(p, os_page_size(), &state));
    cr_expect_eq(state, 0);
    cr_expect_eq(errno, 7);
}

Test(os, page_faults_are_counted)
{
    uint64_t minor, major, minor_after, major_after;
    unsigned char *p = os_map(4 * MIB);
    os_page_faults(&minor, &major);
    for (size_t i = 0; i < 4 * MIB; i += os_page_size())
        p[i] = 1;
    os_page_faults(&minor_after, &major_after);
    cr_assert_gt(minor_after, minor);
    cr_assert_geq(major_after, major);
}

Test(os, environment)
{
    cr_assert_not(os_is_secure());
    setenv("A_NAME_OF_THIS_TEST", "1", 1);
    bool found = false;
    for (char **entry = os_environment(); *entry != NULL; entry++)
        found |= strcmp(*entry, "A_NAME_OF_THIS_TEST=1") == 0;
    cr_assert(found);
}

static atomic_u32 word, awake;

static void *park(void *arg)
{
    while (load_acquire(&word) == 0)
        os_park(&word, 0);
    fetch_add_relaxed(&awake, 1);
    return arg;
}

static void start_parked(pthread_t *threads, int n)
{
    for (int i = 0; i < n; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, park, NULL), 0);
    sleep_ms(200);
    cr_assert_eq(load_relaxed(&awake), 0);
}

Test(os, park_returns_at_once_when_the_word_differs, .timeout = 30)
{
    errno = EDOM;
    store_relaxed(&word, 1);
    os_park(&word, 0);
    os_unpark_one(&word);
    os_unpark_all(&word);
    os_yield();
    cr_assert_eq(errno, EDOM);
}

Test(os, unpark_one_wakes_one, .timeout = 30)
{
    pthread_t threads[2];
    start_parked(threads, 2);
    store_release(&word, 1);
    os_unpark_one(&word);
    for (int i = 0; i < 2000 && load_relaxed(&awake) == 0; i++)
        sleep_ms(1);
    sleep_ms(100);
    cr_assert_eq(load_relaxed(&awake), 1);
    os_unpark_one(&word);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

Test(os, unpark_all_wakes_all, .timeout = 30)
{
    pthread_t threads[4];
    start_parked(threads, 4);
    store_release(&word, 1);
    os_unpark_all(&word);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(load_relaxed(&awake), 4);
}

static void *read_slowly(void *arg)
{
    char part[1000];
    size_t total = 0;
    for (ssize_t n; (n = read(*(int *)arg, part, sizeof part)) > 0;)
        total += (size_t)n;
    return (void *)total;
}

Test(os, write_is_whole, .timeout = 30)
{
    static char text[300000];
    int ends[2];
    pthread_t thread;
    void *total;
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(pthread_create(&thread, NULL, read_slowly, &ends[0]), 0);
    os_write(ends[1], text, sizeof text);
    os_close(ends[1]);
    pthread_join(thread, &total);
    cr_assert_eq((size_t)total, sizeof text);
}

Test(os, files_keep_errno)
{
    char path[] = "test-os-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, "longer", 6), 6);
    close(fd);
    errno = EDOM;
    fd = os_open_for_writing(path);
    cr_assert_geq(fd, 0);
    cr_assert_neq(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    os_write(fd, "abc", 3);
    cr_assert_eq(lseek(fd, 0, SEEK_END), 3);
    os_close(fd);
    os_close(fd);
    os_write(fd, "abc", 3);
    cr_assert_lt(os_open_for_writing("/nowhere/at/all"), 0);
    cr_assert_eq(errno, EDOM);
    unlink(path);
}

// Each call that may fail, by number; the address is reserved.
enum { FALLIBLE = 7 };
static bool call_fallible(int which, void *address)
{
    switch (which) {
    case 0:
        return os_reserve(MIB, MIB) != NULL;
    case 1:
        os_release(address, MIB);
        bool reserved = os_reserve_at(address, MIB);
        return reserved || (os_reserve_at(address, MIB), false);
    case 2:
        return os_map_zeros(MIB) != NULL;
    case 3:
        return os_map(MIB) != NULL;
    case 4:
        return os_commit(address, MIB);
    case 5:
        return os_purge(address, MIB);
    default:
        return os_renew(address, MIB);
    }
}

Test(os, every_fallible_call_can_be_made_to_fail_once)
{
    void *address = os_reserve(MIB, MIB);
    for (int which = 0; which < FALLIBLE; which++) {
        os_fail_nth(1);
        cr_assert_not(call_fallible(which, address), "call %d", which);
        cr_assert(call_fallible(which, address), "call %d", which);
    }
}

Test(os, the_nth_call_fails_and_calls_are_counted)
{
    void *address = os_reserve(MIB, MIB);
    for (uint32_t nth = 1; nth <= 10; nth++) {
        os_fail_nth(nth);
        cr_assert_eq(os_fallible_calls(), 0);
        for (uint32_t i = 1; i <= 12; i++) {
            cr_assert_eq(os_commit(address, MIB), i != nth);
            cr_assert_eq(os_fallible_calls(), i);
        }
    }
    os_fail_nth(3);
    os_fail_nth(0);
    for (int i = 0; i < 10; i++)
        cr_assert(os_commit(address, MIB));
}

Test(os, a_run_of_calls_fails)
{
    void *address = os_reserve(MIB, MIB);
    os_fail_run(3, 4);
    for (uint32_t i = 1; i <= 10; i++)
        cr_assert_eq(os_commit(address, MIB), i < 3 || i > 6);
    os_fail_run(1, 5);
    os_fail_run(0, 5);
    cr_assert(os_commit(address, MIB));
}

Test(os, giving_back_cannot_fail)
{
    char *p = os_map(2 * MIB);
    os_fail_nth(1);
    os_decommit(p, MIB);
    os_release(p + MIB, MIB);
    cr_assert_eq(os_fallible_calls(), 0);
    cr_assert_not(is_readable(p));
    cr_assert_not(is_readable(p + MIB));
}
