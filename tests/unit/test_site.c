// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "core/site.h"

#include "core/harden.h"
#include "core/options.h"
#include "core/print.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void start(void)
{
    store_relaxed(&options.harden, HARDEN_CANARIES);
    harden_init();
    cr_assert(site_init());
}

static const void *address(uintptr_t n) { return (const void *)n; }

Test(site, each_address_has_a_number_of_its_own_as_long_as_there_is_room, .init = start)
{
    uint32_t first = site_number(address(0x7f0012345678)), next = site_number(address(0x7f0012345679));
    cr_assert(first != 0 && next != 0 && first != next);
    cr_assert_eq(site_number(address(0x7f0012345678)), first);
    cr_assert_eq(site_address(first), address(0x7f0012345678));
    cr_assert_eq(site_address(next), address(0x7f0012345679));
    cr_assert_eq(site_number(NULL), 0u);
    cr_assert_null(site_address(0));
}

// Addresses that fall on one place go to those behind it, until there is no more.
Test(site, a_full_neighbourhood_has_no_number_left, .init = start)
{
    enum { MANY = 100, PLACE = 500 };
    uint32_t numbers[MANY];
    size_t named = 0;
    for (uintptr_t i = 0; i < MANY; i++) {
        const void *site = address((i + 1) << 16 | ((i + 1) ^ PLACE));
        numbers[i] = site_number(site);
        named += numbers[i] != 0;
        cr_assert(numbers[i] == 0 || site_address(numbers[i]) == site);
        cr_assert_eq(site_number(site), numbers[i]);
    }
    cr_assert_eq(named, 32u);
}

static void expect_printed(const void *site, const char *maps, const char *wanted)
{
    char text[256];
    struct print_memory memory = {.text = text, .size = sizeof text};
    struct printer printer;
    printer_init(&printer, print_memory_sink, &memory);
    site_print_in(&printer, site, maps);
    print_flush(&printer);
    cr_assert_str_eq(text, wanted);
}

static const char list[] = "555500000000-555500001000 r--p 00000000 fd:01 17  /usr/bin/server\n"
                           "555500001000-555500009000 r-xp 00001000 fd:01 17  /usr/bin/server\n"
                           "555500009000-55550000a000 rw-p 00000000 00:00 0 \n"
                           "7f0000000000-7f0000004000 r--p 00000000 fd:01 9   /opt/a b/libfoo.so.1\n"
                           "7f0000004000-7f0000008000 r-xp 00003000 fd:01 9   /opt/a b/libfoo.so.1\n"
                           "7f0000010000-7f0000011000 rwxp 00004000 fd:01 9   /var/code (deleted)\n"
                           "7fff00000000-7fff00001000 r-xp 00000000 00:00 0   [vdso]\n";

Test(site, an_address_is_told_by_its_object)
{
    char path[64];
    int fd = memfd_create("maps", 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    cr_assert_eq(write(fd, list, sizeof list - 1), (ssize_t)sizeof list - 1);
    expect_printed(address(0x555500001234), path, "server+0x1234");
    expect_printed(address(0x7f0000004010), path, "libfoo.so.1+0x4010");
    expect_printed(address(0x7f0000007fff), path, "libfoo.so.1+0x7fff");
    expect_printed(address(0x7f0000008000), path, "0x7f0000008000");
    expect_printed(address(0x7f0000010004), path, "code (deleted)+0x4004");
    expect_printed(address(0x7fff00000010), path, "[vdso]+0x10");
    expect_printed(address(0x555500009010), path, "0x555500009010");
    close(fd);
    expect_printed(address(0x555500001234), path, "0x555500001234");
}
