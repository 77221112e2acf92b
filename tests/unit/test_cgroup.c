// SPDX-License-Identifier: MIT
#include "core/cgroup.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

static void make_path(char *path, size_t size, const char *name) { snprintf(path, size, "%s%s", root, name); }

static void make_folder(const char *name)
{
    char path[256];
    make_path(path, sizeof path, name);
    cr_assert_eq(mkdir(path, 0755), 0, "%s", path);
}

static void write_file(const char *name, const char *text)
{
    char path[256];
    make_path(path, sizeof path, name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    fclose(file);
}

static void begin(void)
{
    strcpy(root, P_tmpdir "/tarn-cgroup-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
}

static void end(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", root);
    cr_assert_eq(system(command), 0);
}

static uint64_t limit_with(const char *membership)
{
    char path[256];
    write_file("/membership", membership);
    make_path(path, sizeof path, "/membership");
    return cgroup_memory_limit_in(path, root);
}

TestSuite(cgroup, .init = begin, .fini = end);

Test(cgroup, where_nothing_is_there_is_no_limit)
{
    char path[256];
    make_path(path, sizeof path, "/no such file");
    cr_assert_eq(cgroup_memory_limit_in(path, root), CGROUP_NO_LIMIT);
    cr_assert_eq(limit_with(""), CGROUP_NO_LIMIT);
    cr_assert_eq(limit_with("0::/\n"), CGROUP_NO_LIMIT);
    cr_assert_eq(limit_with("0::/a/b\n4:memory:/c\n"), CGROUP_NO_LIMIT);
}

Test(cgroup, version_2_gives_the_least_from_the_group_upwards)
{
    make_folder("/outer");
    make_folder("/outer/inner");
    write_file("/outer/inner/memory.max", "max\n");
    cr_assert_eq(limit_with("0::/outer/inner\n"), CGROUP_NO_LIMIT);
    write_file("/outer/memory.max", "1048576\n");
    cr_assert_eq(limit_with("0::/outer/inner\n"), 1048576u);
    write_file("/outer/inner/memory.max", "65536\n");
    cr_assert_eq(limit_with("0::/outer/inner\n"), 65536u);
    cr_assert_eq(limit_with("0::/outer\n"), 1048576u);
    cr_assert_eq(limit_with("0::/\n"), CGROUP_NO_LIMIT);
}

// The name is the one that the group has outside of the container; what is seen here as the top is the group.
Test(cgroup, a_name_from_outside_a_container_leads_to_the_top)
{
    write_file("/memory.max", "2097152\n");
    cr_assert_eq(limit_with("0::/system.slice/docker-1234.scope\n"), 2097152u);
    cr_assert_eq(limit_with("0::/../..\n"), 2097152u);
}

Test(cgroup, version_1_is_the_group_of_the_memory_controller)
{
    make_folder("/memory");
    make_folder("/memory/a");
    make_folder("/unified");
    make_folder("/unified/a");
    write_file("/memory/memory.limit_in_bytes", "9223372036854771712\n");
    write_file("/memory/a/memory.limit_in_bytes", "3145728\n");
    cr_assert_eq(limit_with("9:name=systemd:/\n4:cpu,memory:/a\n0::/a\n"), 3145728u);
    cr_assert_gt(limit_with("9:memory2:/a\n4:cpu,memory:/\n0::/\n"), UINT64_C(1) << 60);
    cr_assert_eq(limit_with("9:memory2:/a\n8:xmemory,memor:/a\n"), CGROUP_NO_LIMIT);
    write_file("/unified/a/memory.max", "1024\n"); // version 2 beside version 1
    cr_assert_eq(limit_with("4:cpu,memory:/a\n0::/a\n"), 1024u);
}

Test(cgroup, nonsense_is_no_limit)
{
    write_file("/memory.max", "twelve\n");
    cr_assert_eq(limit_with("0::/\n"), CGROUP_NO_LIMIT);
    cr_assert_eq(limit_with("no colon\n0:\n:\n::\n:::::\n0::\n"), CGROUP_NO_LIMIT);
    write_file("/memory.max", "77\n");
    cr_assert_eq(limit_with("no colon\n0:\n"), CGROUP_NO_LIMIT);
    static char line[3000] = "0::/";
    memset(line + 4, 'x', sizeof line - 5);
    cr_assert_eq(limit_with(line), CGROUP_NO_LIMIT); // longer than any path that we look at
    write_file("/memory.max", "99999999999999999999999999\n");
    cr_assert_gt(limit_with("0::/\n"), UINT64_C(1) << 60);
}

Test(cgroup, the_process_has_some_answer) { cr_assert_gt(cgroup_memory_limit(), 0u); }
