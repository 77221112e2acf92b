// SPDX-License-Identifier: MIT
// free_sized and free_aligned_sized of C23, which take the size (and alignment) the block was asked for with.

#define _GNU_SOURCE // RTLD_DEFAULT
#include "../support/names.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

enum { TOKEN = 12345 };
static void (*free_sized_entry)(void *, size_t);
static void (*free_aligned_sized_entry)(void *, size_t, size_t);

#ifdef TARN_TEST_PREFIXED
static void find_entries(void)
{
    free_sized_entry = tarn_free_sized;
    free_aligned_sized_entry = tarn_free_aligned_sized;
}
#else
// Looked up at run time: older C libraries have neither, and ISO C has no cast from dlsym's result to a
// function.
static void find_entries(void)
{
    void *found = dlsym(RTLD_DEFAULT, "free_sized");
    memcpy(&free_sized_entry, &found, sizeof found);
    found = dlsym(RTLD_DEFAULT, "free_aligned_sized");
    memcpy(&free_aligned_sized_entry, &found, sizeof found);
    if (free_sized_entry == NULL || free_aligned_sized_entry == NULL)
        cr_skip("the library has no free_sized");
}
#endif

TestSuite(sized_free, .init = find_entries, .timeout = 60);

Test(sized_free, takes_null)
{
    errno = TOKEN;
    free_sized_entry(NULL, 0);
    free_sized_entry(NULL, 100);
    free_aligned_sized_entry(NULL, 64, 0);
    free_aligned_sized_entry(NULL, 64, 100);
    cr_expect_eq(errno, TOKEN);
}

Test(sized_free, takes_what_malloc_was_asked_for)
{
    errno = TOKEN;
    for (size_t size = 0; size <= 70000; size += size < 2000 ? 1 : 61) {
        free_sized_entry(mem_malloc(size), size);
        free_sized_entry(mem_calloc(1, size), size);
        free_sized_entry(mem_realloc(mem_malloc(10), size + 1), size + 1);
    }
    for (size_t size = 100000; size < (size_t)64 << 20; size = size * 3 / 2)
        free_sized_entry(mem_malloc(size), size);
    cr_expect_eq(errno, TOKEN);
}

Test(sized_free, takes_what_realloc_resized_in_place)
{
    for (size_t size = 100; size < (size_t)4 << 20; size *= 2) {
        void *block = mem_realloc(mem_malloc(size), size + size / 16);
        free_sized_entry(block, size + size / 16);
        block = mem_realloc(mem_malloc(size), size - size / 16);
        free_sized_entry(block, size - size / 16);
    }
}

Test(sized_free, takes_aligned_blocks)
{
    errno = TOKEN;
    for (size_t alignment = 16; alignment <= (size_t)4 << 20; alignment *= 2)
        for (size_t size = alignment; size <= 4 * alignment; size += alignment) {
            free_aligned_sized_entry(mem_aligned_alloc(alignment, size), alignment, size);
            free_aligned_sized_entry(mem_memalign(alignment, size / 2 + 1), alignment, size / 2 + 1);
        }
    cr_expect_eq(errno, TOKEN);
}

Test(sized_free, gives_the_memory_back)
{
    static const size_t sizes[] = {500, 20000, 1 << 20};
    for (size_t i = 0; i < 3; i++)
        for (size_t sum = 0; sum < (size_t)700 << 20; sum += sizes[i]) {
            char *block = mem_malloc(sizes[i]);
            cr_assert_not_null(block);
            block[0] = block[sizes[i] - 1] = 1;
            free_sized_entry(block, sizes[i]);
        }
}

Test(sized_free, a_large_block_that_served_a_larger_size_before_is_freed_by_its_own)
{
    const size_t larger = (size_t)1 << 20, size = larger - ((size_t)64 << 10);
    mem_free(mem_malloc(larger));
    void *p = mem_malloc(size);
    cr_assert_geq(mem_usable_size(p), size);
    free_sized_entry(p, size);
    p = mem_malloc(size);
    free_aligned_sized_entry(p, 16, size);
}
