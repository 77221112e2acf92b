// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "core/os.h"

#include "core/bits.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#define GAP_BYTES ((uintptr_t)1 << 30) // room for libraries and stacks to come

// Relaxed everywhere: a test arms it before it starts what it wants to fail.
static atomic_u32 fail_countdown; // calls up to the last one that fails
static atomic_u32 fail_length;
static atomic_u32 fallible_calls;

void os_fail_run(uint32_t n, uint32_t length)
{
    store_relaxed(&fail_length, length);
    store_relaxed(&fail_countdown, n == 0 ? 0 : n + length - 1);
    store_relaxed(&fallible_calls, 0);
}

void os_fail_nth(uint32_t n) { os_fail_run(n, 1); }

uint32_t os_fallible_calls(void) { return load_relaxed(&fallible_calls); }

static bool injected_fault(void)
{
    fetch_add_relaxed(&fallible_calls, 1);
    return load_relaxed(&fail_countdown) != 0 &&
           fetch_sub_relaxed(&fail_countdown, 1) <= load_relaxed(&fail_length);
}

static void *map(void *hint, size_t size, int protection, int more_flags)
{
    if (injected_fault())
        return NULL;
    int saved = errno;
    void *p = mmap(hint, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | more_flags, -1, 0);
    errno = saved;
    return p == MAP_FAILED ? NULL : p;
}

void os_release(void *address, size_t size)
{
    int saved = errno;
    munmap(address, size);
    errno = saved;
}

static void trim_to(uintptr_t start, size_t mapped, uintptr_t wanted, size_t size)
{
    if (wanted > start)
        os_release((void *)start, wanted - start);
    if (start + mapped > wanted + size)
        os_release((void *)(wanted + size), start + mapped - wanted - size);
}

static void *reserve_trimmed(size_t size, size_t align)
{
    uintptr_t start = (uintptr_t)map(NULL, size + align, PROT_NONE, 0);
    if (start == 0)
        return NULL;
    uintptr_t wanted = align_up(start, align);
    trim_to(start, size + align, wanted, size);
    return (void *)wanted;
}

// The kernel places mappings below each other, beginning with the libraries. Some way below this one it takes
// an aligned place as it is told, if it is free. NULL where there is no such place.
static void *place_below(size_t size, size_t align)
{
    static const char here;
    uintptr_t end = (uintptr_t)&here - min_size((uintptr_t)&here, GAP_BYTES);
    return end < size ? NULL : (void *)align_down(end - size, align);
}

void *os_reserve(size_t size, size_t align)
{
    if (size > SIZE_MAX - align)
        return NULL;
    void *p = map(place_below(size, align), size, PROT_NONE, 0);
    if (p == NULL || (uintptr_t)p % align == 0)
        return p;
    os_release(p, size);
    return reserve_trimmed(size, align);
}

bool os_reserve_at(void *address, size_t size)
{
    void *p = map(address, size, PROT_NONE, MAP_FIXED_NOREPLACE);
    if (p != NULL && p != address)
        os_release(p, size); // kernels before 4.17 take the address for a mere hint
    return p == address;
}

void *os_map_zeros(size_t size) { return map(NULL, size, PROT_READ, 0); }

void *os_map(size_t size) { return map(NULL, size, PROT_READ | PROT_WRITE, 0); }

bool os_commit(void *address, size_t size)
{
    if (injected_fault())
        return false;
    int saved = errno;
    size_t page = os_page_size();
    uintptr_t first = align_down((uintptr_t)address, page);
    uintptr_t end = align_up((uintptr_t)address + size, page);
    int result = mprotect((void *)first, end - first, PROT_READ | PROT_WRITE);
    errno = saved;
    return result == 0;
}

void os_decommit(void *address, size_t size)
{
    int saved = errno;
    void *p = mmap(address, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    if (p == MAP_FAILED)
        madvise(address, size, MADV_DONTNEED);
    errno = saved;
}

bool os_purge(void *address, size_t size)
{
    if (injected_fault())
        return false;
    int saved = errno;
    int result = madvise(address, size, MADV_DONTNEED);
    errno = saved;
    return result == 0;
}

#ifndef MREMAP_DONTUNMAP // Linux 5.7
#define MREMAP_DONTUNMAP 4
#endif

// Fails where the program has locked the memory; a move would bring memory there that is not.
static bool drop(void *address, size_t size) { return madvise(address, size, MADV_DONTNEED) == 0; }

// Other memory lies behind the range, so it cannot grow by a page; but before the kernel finds that, it looks
// whether the range is part of a single mapping. If it grows nothing lay there.
static bool is_one_mapping(void *address, size_t size)
{
    if (mremap(address, size, size + os_page_size(), 0) == MAP_FAILED)
        return errno != EFAULT;
    munmap((char *)address + size, os_page_size());
    return true;
}

// Of more than one mapping older kernels move nothing, but unmap `to` first.
static bool move(void *from, void *to, size_t size)
{
    return mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) == to;
}

bool os_move(void *from, void *to, size_t size)
{
    if (injected_fault())
        return false;
    int saved = errno;
    bool moved = drop(to, size) && is_one_mapping(from, size) && move(from, to, size);
    errno = saved;
    return moved;
}

// Some take the first range for unmapped, which a call that only looks finds out.
static bool try_to_move(char *pages, size_t page)
{
    unsigned char resident;
    pages[0] = 1;
    return move(pages, pages + page, page) && pages[page] == 1 && mincore(pages, page, &resident) == 0 &&
           (resident & 1) == 0;
}

bool os_can_move(void)
{
    enum { UNKNOWN, NO, YES };
    static atomic_u32 cached; // relaxed: every thread finds the same
    uint32_t can = load_relaxed(&cached);
    if (can != UNKNOWN)
        return can == YES;
    size_t page = os_page_size();
    int saved = errno;
    void *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    can = pages != MAP_FAILED && try_to_move(pages, page) ? YES : NO;
    if (pages != MAP_FAILED)
        munmap(pages, 2 * page);
    errno = saved;
    store_relaxed(&cached, can);
    return can == YES;
}

bool os_renew(void *address, size_t size)
{
    if (injected_fault())
        return false;
    int saved = errno, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    bool renewed = mmap(address, size, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED;
    errno = saved;
    return renewed;
}

#ifndef MADV_POPULATE_WRITE // Linux 5.14
#define MADV_POPULATE_WRITE 23
#endif

void os_populate(void *address, size_t size)
{
    int saved = errno;
    madvise(address, size, MADV_POPULATE_WRITE);
    errno = saved;
}

void os_advise_huge(void *address, size_t size, bool huge)
{
    int saved = errno;
    madvise(address, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    errno = saved;
}

size_t os_resident_pages(const void *address, size_t size)
{
    unsigned char resident[512];
    size_t page = os_page_size(), count = 0;
    int saved = errno;
    for (size_t done = 0; done < size; done += sizeof resident * page) {
        size_t part = min_size(size - done, sizeof resident * page);
        memset(resident, 0, sizeof resident);
        if (mincore((char *)address + done, part, resident) != 0)
            break;
        for (size_t i = 0; i * page < part; i++)
            count += resident[i] & 1;
    }
    errno = saved;
    return count;
}

// --- Forbidden ranges. Kernels from 6.13 on mark pages in their tables, which is five times as quick as to
// part a mapping in three, and other threads go on meanwhile. Memory that is locked takes no marks.

static atomic_u32 has_marked, has_parted; // 1 once a range was forbidden in that way. Relaxed: who
// permits a range has it from who forbade it

// An emulator may say yes to what it does not know.
static bool is_marked(void *address)
{
    return madvise(address, os_page_size(), MADV_POPULATE_READ) != 0 && errno == EFAULT;
}

static bool mark(void *address, size_t size)
{
    if (load_relaxed(&has_parted) != 0)
        return false;
    bool marked = madvise(address, size, MADV_GUARD_INSTALL) == 0 &&
                  (load_relaxed(&has_marked) != 0 || is_marked(address));
    if (marked)
        store_relaxed(&has_marked, 1);
    else
        madvise(address, size, MADV_GUARD_REMOVE); // of what was marked before memory ran out
    return marked;
}

// A new mapping would lack what the range was advised about huge pages, and never again be one with its
// neighbours. But memory that is locked goes back no other way, and not even so at the limit of what may be
// locked.
static bool gives_back_forbidden(void *address, size_t size)
{
    return madvise(address, size, MADV_DONTNEED) == 0 ||
           mmap(address, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) !=
               MAP_FAILED;
}

static bool part(void *address, size_t size)
{
    store_relaxed(&has_parted, 1);
    if (mprotect(address, size, PROT_NONE) != 0)
        return false;
    if (gives_back_forbidden(address, size))
        return true;
    mprotect(address, size, PROT_READ | PROT_WRITE);
    return false;
}

bool os_forbid(void *address, size_t size)
{
    if (injected_fault())
        return false;
    int saved = errno;
    bool forbidden = mark(address, size) || part(address, size);
    errno = saved;
    return forbidden;
}

bool os_permit(void *address, size_t size)
{
    if (injected_fault())
        return false;
    int saved = errno;
    bool permitted = load_relaxed(&has_marked) == 0 || madvise(address, size, MADV_GUARD_REMOVE) == 0;
    if (permitted && load_relaxed(&has_parted) != 0)
        permitted = mprotect(address, size, PROT_READ | PROT_WRITE) == 0;
    errno = saved;
    return permitted;
}

void os_seal(void *address, size_t size)
{
    int saved = errno;
    mprotect(address, size, PROT_READ);
    errno = saved;
}

// Without the system call, or before the kernel has gathered enough: what it gave the program at its start.
static void random_of_start(unsigned char *bytes, size_t size)
{
    enum { GIVEN = 16 };
    const unsigned char *given = (const unsigned char *)getauxval(AT_RANDOM);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t x = (uint64_t)now.tv_nsec ^ os_thread_pointer() ^ (uint64_t)getpid() << 32;
    for (size_t i = 0; i < size; i++) {
        x = (x ^ (given == NULL ? i : given[i % GIVEN])) * UINT64_C(0x9e3779b97f4a7c15);
        bytes[i] = (unsigned char)(x >> 56);
    }
}

void os_random(void *bytes, size_t size)
{
    int saved = errno;
    if (syscall(SYS_getrandom, bytes, size, GRND_NONBLOCK) != (long)size)
        random_of_start(bytes, size);
    errno = saved;
}

size_t os_page_size(void)
{
    static atomic_u32 cached; // relaxed: every thread computes the same value
    uint32_t size = load_relaxed(&cached);
    if (size == 0) {
        size = (uint32_t)getauxval(AT_PAGESZ);
        store_relaxed(&cached, size);
    }
    return size;
}

size_t os_address_space_limit(void)
{
    struct rlimit limit;
    int saved = errno;
    int result = getrlimit(RLIMIT_AS, &limit);
    errno = saved;
    return result != 0 || limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : limit.rlim_cur;
}

uint64_t os_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static size_t memory_bytes(bool with_swap)
{
    struct sysinfo info;
    int saved = errno;
    int result = sysinfo(&info);
    errno = saved;
    size_t units = (size_t)info.totalram + (with_swap ? info.totalswap : 0);
    return result != 0 ? SIZE_MAX : units * info.mem_unit;
}

size_t os_physical_bytes(void) { return memory_bytes(false); }
size_t os_memory_bytes(void) { return memory_bytes(true); }

unsigned os_cpu(void)
{
    int cpu = sched_getcpu();
    return cpu < 0 ? 0 : (unsigned)cpu;
}

unsigned os_cpu_count(void)
{
    // sched_getaffinity fills a caller's set; sysconf would open a file and allocate.
    cpu_set_t set;
    int saved = errno;
    int result = sched_getaffinity(0, sizeof set, &set);
    errno = saved;
    return result != 0 ? 1 : (unsigned)CPU_COUNT(&set);
}

// The number behind the i-th run of spaces.
static uint64_t parse_number(const char *text, int i)
{
    uint64_t n = 0;
    while (i-- > 0) {
        text += strcspn(text, " ");
        text += strspn(text, " ");
    }
    for (; *text >= '0' && *text <= '9'; text++)
        n = n * 10 + (uint64_t)(*text - '0');
    return n;
}

size_t os_resident_bytes(void)
{
    char text[128];
    os_read_file("/proc/self/statm", text, sizeof text);
    return (size_t)parse_number(text, 1) * os_page_size();
}

// 0 where there is no such line.
static uint64_t line_kib(const char *text, const char *name)
{
    const char *line = strstr(text, name);
    return line == NULL ? 0 : parse_number(line, 1) << 10;
}

struct os_memory os_memory(void)
{
    char text[1024];
    if (os_read_file("/proc/self/smaps_rollup", text, sizeof text) != 0) {
        uint64_t anonymous = line_kib(text, "\nAnonymous:");
        return (struct os_memory){line_kib(text, "\nRss:") - anonymous, anonymous,
                                  line_kib(text, "\nAnonHugePages:")};
    }
    os_read_file("/proc/self/statm", text, sizeof text); // off by a few pages for each thread
    uint64_t files = parse_number(text, 2) * os_page_size();
    return (struct os_memory){files, parse_number(text, 1) * os_page_size() - files, 0};
}

bool os_presence(void *address, size_t size, unsigned char *pages)
{
    int saved = errno;
    bool known = mincore(address, size, pages) == 0;
    if (!known)
        memset(pages, 0, size / os_page_size());
    errno = saved;
    return known;
}

void os_page_faults(uint64_t *minor, uint64_t *major)
{
    struct rusage usage;
    memset(&usage, 0, sizeof usage);
    getrusage(RUSAGE_SELF, &usage);
    *minor = (uint64_t)usage.ru_minflt;
    *major = (uint64_t)usage.ru_majflt;
}

bool os_is_secure(void) { return getauxval(AT_SECURE) != 0; }

char **os_environment(void) { return environ; }

static void futex(atomic_u32 *word, int operation, uint32_t value, const struct timespec *limit)
{
    int saved = errno;
    syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, limit, NULL, 0);
    errno = saved;
}

void os_park(atomic_u32 *word, uint32_t expected) { futex(word, FUTEX_WAIT, expected, NULL); }
void os_park_for(atomic_u32 *word, uint32_t expected, uint64_t ms)
{
    struct timespec limit = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    futex(word, FUTEX_WAIT, expected, &limit);
}
void os_unpark_one(atomic_u32 *word) { futex(word, FUTEX_WAKE, 1, NULL); }
void os_unpark_all(atomic_u32 *word) { futex(word, FUTEX_WAKE, INT32_MAX, NULL); }
void os_yield(void) { sched_yield(); }

bool os_write(int fd, const char *text, size_t length)
{
    int saved = errno;
    while (length > 0) {
        ssize_t n = write(fd, text, length);
        if (n < 0 && errno != EINTR)
            break;
        text += n > 0 ? n : 0;
        length -= n > 0 ? (size_t)n : 0;
    }
    errno = saved;
    return length == 0;
}

int os_open_for_writing(const char *path)
{
    int saved = errno;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    errno = saved;
    return fd;
}

bool os_is_file_or_nothing(const char *path)
{
    struct stat info;
    int saved = errno;
    bool is = lstat(path, &info) == 0 ? S_ISREG(info.st_mode) : errno == ENOENT;
    errno = saved;
    return is;
}

bool os_replace_file(const char *from, const char *to)
{
    int saved = errno;
    int result = rename(from, to);
    errno = saved;
    return result == 0;
}

void os_remove_file(const char *path)
{
    int saved = errno;
    unlink(path);
    errno = saved;
}

void os_close(int fd)
{
    int saved = errno;
    close(fd);
    errno = saved;
}

int os_open_for_reading(const char *path)
{
    int saved = errno;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    errno = saved;
    return fd;
}

size_t os_read(int fd, char *text, size_t size)
{
    int saved = errno;
    size_t length = 0;
    while (length < size) {
        ssize_t n = read(fd, text + length, size - length);
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        length += n > 0 ? (size_t)n : 0;
    }
    errno = saved;
    return length;
}

size_t os_read_file(const char *path, char *text, size_t size)
{
    int fd = os_open_for_reading(path);
    size_t length = fd < 0 ? 0 : os_read(fd, text, size - 1);
    text[length] = '\0';
    if (fd >= 0)
        os_close(fd);
    return length;
}

int os_event_new(void)
{
    int saved = errno;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int result = fd < 0 ? -errno : fd;
    errno = saved;
    return result;
}

void os_event_signal(int fd)
{
    const uint64_t one = 1;
    os_write(fd, (const char *)&one, sizeof one);
}
