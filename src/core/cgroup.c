// SPDX-License-Identifier: MIT
#include "core/cgroup.h"

#include "core/bits.h"
#include "core/os.h"
#include <stdbool.h>
#include <string.h>

#define LONGEST_PATH 1024
#define MOST_MEMBERSHIP 4096

// Where a version keeps the groups and their limits. Version 2 may be mounted alone or beside version 1.
struct interface {
    const char *folder, *file;
};

static const struct interface version1 = {"/memory", "/memory.limit_in_bytes"};
static const struct interface version2[] = {{"", "/memory.max"}, {"/unified", "/memory.max"}};

struct path {
    size_t length;
    char text[LONGEST_PATH];
};

static bool append(struct path *path, const char *text, size_t n)
{
    if (n >= sizeof path->text - path->length)
        return false;
    memcpy(path->text + path->length, text, n);
    path->length += n;
    path->text[path->length] = '\0';
    return true;
}

static bool append_text(struct path *path, const char *text) { return append(path, text, strlen(text)); }

// "max" and whatever else is no number are no limit.
static uint64_t parse_bytes(const char *text)
{
    uint64_t bytes = 0;
    if (*text < '0' || *text > '9')
        return CGROUP_NO_LIMIT;
    for (; *text >= '0' && *text <= '9' && bytes < UINT64_MAX / 16; text++)
        bytes = bytes * 10 + (uint64_t)(*text - '0');
    return bytes;
}

static uint64_t limit_of_group(struct path *path, const char *file)
{
    char text[32];
    size_t length = path->length;
    uint64_t limit = append_text(path, file) && os_read_file(path->text, text, sizeof text) != 0
                         ? parse_bytes(text)
                         : CGROUP_NO_LIMIT;
    path->length = length;
    path->text[length] = '\0';
    return limit;
}

// From the group upwards. In a container the group may be known by the name that it has outside; what it sees
// as the top is then itself.
static uint64_t limit_from(const char *root, const struct interface *interface, const char *group,
                           size_t group_length)
{
    struct path path = {0};
    if (!append_text(&path, root) || !append_text(&path, interface->folder))
        return CGROUP_NO_LIMIT;
    size_t top = path.length;
    if (!append(&path, group, group_length))
        return CGROUP_NO_LIMIT;
    uint64_t limit = limit_of_group(&path, interface->file);
    while (path.length > top) {
        do
            path.length--;
        while (path.length > top && path.text[path.length] != '/');
        path.text[path.length] = '\0';
        limit = min_size(limit, limit_of_group(&path, interface->file));
    }
    return limit;
}

// A list of names with commas between.
static bool has_controller(const char *list, size_t length, const char *name)
{
    size_t wanted = strlen(name);
    for (const char *end = list + length; list < end; list++) {
        size_t n = strcspn(list, ",:");
        if (n == wanted && memcmp(list, name, n) == 0)
            return true;
        list += n;
    }
    return false;
}

// A line is  id:controllers:group;  version 2 has the id 0 and names no controllers.
static uint64_t limit_of_line(const char *root, const char *line, size_t length)
{
    const char *end = line + length, *controllers = memchr(line, ':', length);
    const char *group =
        controllers == NULL ? NULL : memchr(controllers + 1, ':', (size_t)(end - controllers - 1));
    if (group == NULL)
        return CGROUP_NO_LIMIT;
    size_t n = (size_t)(group - ++controllers), group_length = (size_t)(end - ++group);
    if (n != 0)
        return has_controller(controllers, n, "memory") ? limit_from(root, &version1, group, group_length)
                                                        : CGROUP_NO_LIMIT;
    uint64_t alone = limit_from(root, &version2[0], group, group_length);
    return min_size(alone, limit_from(root, &version2[1], group, group_length));
}

uint64_t cgroup_memory_limit_in(const char *membership, const char *root)
{
    char text[MOST_MEMBERSHIP];
    uint64_t limit = CGROUP_NO_LIMIT;
    if (os_read_file(membership, text, sizeof text) == 0)
        return limit;
    for (const char *line = text; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        limit = min_size(limit, limit_of_line(root, line, length));
        line += length;
        line += *line == '\n';
    }
    return limit;
}

uint64_t cgroup_memory_limit(void) { return cgroup_memory_limit_in("/proc/self/cgroup", "/sys/fs/cgroup"); }
