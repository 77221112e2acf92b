// SPDX-License-Identifier: MIT
// A kernel without what newer ones have, played by a filter of system calls: no getrandom, rseq, membarrier,
// no memory that moves, no advice beyond MADV_DONTNEED. Or a sandbox that hides the machine: no sysinfo,
// affinity, limits, mincore, and no files once the program runs. Everything works as before, but for what is
// then unknown.
//
// usage: old_kernel [sandbox]     runs itself under the filter, so that the library starts there

#define _GNU_SOURCE
#include "../support/crowd.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <tarn/tarn.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define REFUSE(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define REFUSE_CALL(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), REFUSE(ENOSYS)

static void install(struct sock_filter *rules, size_t count)
{
    struct sock_fprog program = {(unsigned short)count, rules};
    expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    expect(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

#define INSTALL(rules) install(rules, sizeof(rules) / sizeof(rules)[0])

static void forget_what_is_new(void)
{
    struct sock_filter rules[] = {
        LOAD(nr),
        REFUSE_CALL(SYS_getrandom),
        REFUSE_CALL(SYS_rseq),
        REFUSE_CALL(SYS_membarrier),
        REFUSE_CALL(SYS_mremap),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
        LOAD(args[2]),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_DONTNEED, 1, 0),
        REFUSE(EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    INSTALL(rules);
}

static void hide_the_machine(void)
{
    struct sock_filter rules[] = {
        LOAD(nr),
        REFUSE_CALL(SYS_sysinfo),
        REFUSE_CALL(SYS_sched_getaffinity),
        REFUSE_CALL(SYS_prlimit64),
        REFUSE_CALL(SYS_mincore),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    INSTALL(rules);
}

static void hide_files(void)
{
    struct sock_filter rules[] = {
        LOAD(nr),
        REFUSE_CALL(SYS_openat),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    INSTALL(rules);
}

static void use_heap(void)
{
    crowd_begin(3, trade_much);
    crowd_join();
    for (int i = 0; i < 50; i++) {
        char *volatile large = malloc((size_t)20 << 20);
        expect(large != NULL);
        for (size_t at = 0; at < (size_t)20 << 20; at += (size_t)1 << 20)
            large[at] = 1;
        free(large);
    }
    char *grown = NULL;
    for (size_t size = (size_t)1 << 20; size < (size_t)100 << 20; size += size / 2) {
        grown = realloc(grown, size);
        expect(grown != NULL && (size == (size_t)1 << 20 || grown[0] == 5));
        grown[0] = 5;
    }
    free(grown);
    slots_clear(slots);
    expect_heap_is_whole();
}

static bool is_refused(long result) { return result == -1 && errno == ENOSYS; }

static void run_on_old_kernel(void)
{
    expect(is_refused(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0)));
    use_heap();
}

static void count(void *length, const char *text, size_t n)
{
    (void)text;
    *(size_t *)length += n;
}

static void run_in_sandbox(void)
{
    size_t length = 0;
    struct sysinfo info;
    hide_files();
    expect(is_refused(sysinfo(&info)) && is_refused(open("/proc/self/statm", O_RDONLY)));
    use_heap();
    void *volatile huge =
        malloc((size_t)100 << 20); // refused only where it is known to be more than there is
    expect(huge != NULL);
    free(huge);
    expect(tarn_stats_print(TARN_STATS_TEXT, count, &length) == 0 && length > 100);
}

int main(int argc, char **argv)
{
    bool sandbox = argc > 1 && strcmp(argv[1], "sandbox") == 0;
    limit_seconds(120);
    if (argc > 2) {
        sandbox ? run_in_sandbox() : run_on_old_kernel();
        return 0;
    }
    sandbox ? hide_the_machine() : forget_what_is_new();
    execl("/proc/self/exe", argv[0], sandbox ? "sandbox" : "old", "filtered", (char *)NULL);
    return 1;
}
