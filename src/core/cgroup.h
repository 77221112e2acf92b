// SPDX-License-Identifier: MIT
// The memory limit of the control group that the process runs in, of version 1 and 2 of the interface.
// Any thread; reads files.
#ifndef TARN_CORE_CGROUP_H
#define TARN_CORE_CGROUP_H

#include <stdint.h>

#define CGROUP_NO_LIMIT UINT64_MAX

// In bytes: the least of the group's own limit and those of the groups around it, as far as they can be seen
// from here. CGROUP_NO_LIMIT when there is none.
uint64_t cgroup_memory_limit(void);
// The same from a file like /proc/self/cgroup and a folder like /sys/fs/cgroup.
uint64_t cgroup_memory_limit_in(const char *membership, const char *root);

#endif
