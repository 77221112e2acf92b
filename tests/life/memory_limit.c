// SPDX-License-Identifier: MIT
// Out of address space, as under `ulimit -v`, or out of memory that the kernel promises, as under `ulimit -d`
// (and, seen from here, with vm.overcommit_memory=2): malloc answers NULL and ENOMEM, and when what exhausted
// the limit is freed, or unmapped by the program, as much can be had again, also in large blocks.
//
// usage: memory_limit [KIB]     runs itself once for each limit and case

#define _GNU_SOURCE
#include "../support/exhaust.h"

#include <sys/mman.h>
#include <sys/resource.h>

static size_t limit;

static void expect_block_to_be_had(size_t size)
{
    char *large = malloc(size);
    expect(large != NULL);
    large[0] = large[size - 1] = 1;
    free(large);
}

// The second time must reach what the first reached: nothing may be lost on the way.
static void exhaust_twice(size_t size)
{
    node *list = NULL;
    size_t first = exhaust(&list, size, false);
    printf("%zu blocks of %zu bytes\n", first / size, size);
    expect(first > limit / 2);
    expect_heap_is_whole();
    free_all(&list);
    size_t again = exhaust(&list, size, false);
    expect(again + again / 32 >= first);
    free_all(&list);
    expect_heap_is_whole();
    expect_block_to_be_had(limit / 2);
}

static void exhaust_with_small_blocks(void) { exhaust_twice(100); }

static void exhaust_with_medium_blocks(void) { exhaust_twice(5000); }

static void exhaust_with_pages(void) { exhaust_twice(100000); }

static void exhaust_with_mebibytes(void) { exhaust_twice(mib); }

static void exhaust_with_all_sizes(void)
{
    node *list = NULL;
    for (size_t size = 16 * mib; size >= 16; size /= 2)
        exhaust(&list, size, false);
    free_all(&list);
    expect_heap_is_whole();
    expect_block_to_be_had(limit / 2);
}

// What the program maps itself counts too: malloc must leave room for it, and take over what it gives back.
static void leave_room_for_mappings(void)
{
    size_t size = limit, large = limit / 3;
    void *mapping = MAP_FAILED;
    node *list = NULL;
    for (; mapping == MAP_FAILED; size -= mib)
        mapping =
            mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size += mib;
    printf("mapped %zu MiB of %zu MiB\n", size / mib, limit / mib);
    expect(size > large + 8 * mib);
    exhaust(&list, large, false);
    expect(munmap(mapping, size) == 0);
    expect_block_to_be_had(large);
    free_all(&list);
    expect_heap_is_whole();
}

// realloc has the same right to fail, and must keep the block then.
static void fail_to_grow(void)
{
    unsigned char *block = malloc(1000);
    expect(block != NULL);
    memset(block, 7, 1000);
    for (size_t size = mib; size <= 4 * limit; size *= 2) {
        unsigned char *grown = realloc(block, size);
        if (grown == NULL)
            expect(errno == ENOMEM);
        else
            block = grown;
        expect(block[0] == 7 && block[999] == 7);
    }
    errno = 0;
    expect(realloc(block, 4 * limit) == NULL && errno == ENOMEM);
    errno = 0;
    expect(calloc(4, limit) == NULL && errno == ENOMEM);
    free(block);
    expect_block_to_be_had(limit / 2);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {{"small", exhaust_with_small_blocks},
             {"medium", exhaust_with_medium_blocks},
             {"pages", exhaust_with_pages},
             {"mebibytes", exhaust_with_mebibytes},
             {"all sizes", exhaust_with_all_sizes},
             {"mappings", leave_room_for_mappings},
             {"realloc", fail_to_grow}};
enum { CASES = sizeof cases / sizeof cases[0] };

static const struct {
    const char *name;
    __rlimit_resource_t resource;
} limits[] = {{"address space", RLIMIT_AS}, {"promised memory", RLIMIT_DATA}};
enum { LIMITS = sizeof limits / sizeof limits[0] };

static int run_case(const char *bytes, const char *name)
{
    limit = strtoul(bytes, NULL, 10);
    limit_seconds(60);
    for (size_t i = 0; i < CASES; i++)
        if (strcmp(cases[i].name, name) == 0)
            cases[i].run();
    return 0;
}

// The limit must stand before the library starts, hence a new program for each case.
static void run_under_limit(char *program, __rlimit_resource_t resource, rlim_t bytes, const char *name)
{
    const struct rlimit both = {bytes, bytes};
    char number[24];
    snprintf(number, sizeof number, "%lu", (unsigned long)bytes);
    pid_t child = fork();
    if (child == 0) {
        expect(setrlimit(resource, &both) == 0);
        execl("/proc/self/exe", program, number, name, (char *)NULL);
        _exit(1);
    }
    expect_child_exits(child, 0);
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return run_case(argv[1], argv[2]);
    size_t bytes = (size_t)argument(argc, argv, 1, 300000) << 10;
    for (size_t l = 0; l < LIMITS; l++)
        for (size_t i = 0; i < CASES; i++) {
            printf("-- %s, %s\n", limits[l].name, cases[i].name);
            fflush(stdout);
            run_under_limit(argv[0], limits[l].resource, bytes, cases[i].name);
        }
    return 0;
}
