// SPDX-License-Identifier: MIT
// without CALL[,CALL...] PROGRAM [ARGUMENT...]: runs the program as on a kernel, or in a sandbox, that does
// not have these calls: they fail with ENOSYS, madvise with EINVAL as for an advice that the kernel does not
// know.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct call {
    const char *name;
    unsigned number, error;
} calls[] = {
    {"membarrier", SYS_membarrier, ENOSYS}, {"rseq", SYS_rseq, ENOSYS},
    {"madvise", SYS_madvise, EINVAL},       {"getrandom", SYS_getrandom, ENOSYS},
    {"prctl", SYS_prctl, EINVAL},           {"sysinfo", SYS_sysinfo, ENOSYS},
    {"getcpu", SYS_getcpu, ENOSYS},         {"sched_getaffinity", SYS_sched_getaffinity, ENOSYS},
    {"getrusage", SYS_getrusage, ENOSYS},   {"clone3", SYS_clone3, ENOSYS},
};

enum { CALLS = sizeof calls / sizeof calls[0] };

// For each call that is named: if it is not that one, pass over the next instruction, which refuses it.
static unsigned make_filter(struct sock_filter *filter, char *names)
{
    unsigned n = 0;
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (char *name = strtok(names, ","); name != NULL; name = strtok(NULL, ",")) {
        unsigned i = 0;
        while (i < CALLS && strcmp(calls[i].name, name) != 0)
            i++;
        if (i == CALLS)
            return 0;
        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i].number, 0, 1);
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | calls[i].error);
    }
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    return n;
}

int main(int argc, char **argv)
{
    struct sock_filter filter[2 * CALLS + 2];
    unsigned n = argc >= 3 && strlen(argv[1]) < 100 ? make_filter(filter, argv[1]) : 0;
    struct sock_fprog program = {(unsigned short)n, filter};
    if (n == 0) {
        fprintf(stderr, "usage: without CALL[,CALL...] PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("without: seccomp");
        return 77; // a sandbox that allows no filters
    }
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 127;
}
