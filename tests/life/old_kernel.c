// SPDX-License-Identifier: MIT
// A kernel without what newer ones have, played by a filter of system calls: no getrandom, rseq, membarrier,
// no advice beyond MADV_DONTNEED. Everything works as before.
//
// usage: old_kernel     runs itself under the filter, so that the library starts there

#define _GNU_SOURCE
#include "../support/crowd.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define REFUSE(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define REFUSE_CALL(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), REFUSE(ENOSYS)

static void forget_what_is_new(void)
{
    struct sock_filter rules[] = {
        LOAD(nr),
        REFUSE_CALL(SYS_getrandom),
        REFUSE_CALL(SYS_rseq),
        REFUSE_CALL(SYS_membarrier),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
        LOAD(args[2]),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_DONTNEED, 1, 0),
        REFUSE(EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof rules / sizeof rules[0], rules};
    expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    expect(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void use_heap(void)
{
    errno = 0;
    expect(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) == -1 && errno == ENOSYS);
    crowd_begin(3, trade_much);
    crowd_join();
    for (int i = 0; i < 50; i++) {
        char *volatile large = malloc((size_t)20 << 20);
        expect(large != NULL);
        for (size_t at = 0; at < (size_t)20 << 20; at += (size_t)1 << 20)
            large[at] = 1;
        free(large);
    }
    slots_clear(slots);
    expect_heap_is_whole();
}

int main(int argc, char **argv)
{
    limit_seconds(120);
    if (argc > 1) {
        use_heap();
        return 0;
    }
    forget_what_is_new();
    execl("/proc/self/exe", argv[0], "filtered", (char *)NULL);
    return 1;
}
