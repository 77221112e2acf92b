// SPDX-License-Identifier: MIT
// Each entry point of an allocator in a loop of its own, for counting instructions: bench/instructions runs
// an operation with two counts and divides the difference, so that what happens once drops out.
//
// usage: operations NAME COUNT     without arguments: prints the names

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT = 1000, LONGEST = 4096, STEP = 64, STEPS = LONGEST / STEP };

// Weak: the C library alone has none of these, and an operation without its function is left out.
void *_Znwm(size_t size) __attribute__((weak));
void _ZdlPv(void *p) __attribute__((weak));
void _ZdlPvm(void *p, size_t size) __attribute__((weak));
void free_sized(void *p, size_t size) __attribute__((weak));

static void *kept[KEPT];
static size_t sizes[KEPT];
static unsigned order[KEPT];
static size_t sum;

static uint32_t next_random(void)
{
    static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(state >> 33);
}

static void fill_tables(void)
{
    for (unsigned i = 0; i < KEPT; i++) {
        sizes[i] = 1 + next_random() % 1000;
        order[i] = i;
    }
    for (unsigned i = KEPT - 1; i > 0; i--) {
        unsigned other = next_random() % (i + 1), kept_index = order[i];
        order[i] = order[other];
        order[other] = kept_index;
    }
}

// A function of its own, so that neither the size nor the pairing is a constant of the loop.
static inline __attribute__((always_inline)) void pairs(size_t size, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(malloc(size));
}

static void pair_16(size_t count) { pairs(16, count); }
static void pair_100(size_t count) { pairs(100, count); }
static void pair_1000(size_t count) { pairs(1000, count); }
static void pair_8K(size_t count) { pairs(8 << 10, count); }
static void pair_64K(size_t count) { pairs(64 << 10, count); }
static void pair_256K(size_t count) { pairs(256 << 10, count); }
static void pair_1M(size_t count) { pairs(1 << 20, count); }
static void pair_8M(size_t count) { pairs(8 << 20, count); }

static void allocate_all(void)
{
    for (size_t i = 0; i < KEPT; i++)
        kept[i] = malloc(sizes[i]);
}

static void batch_fifo(size_t count)
{
    for (size_t done = 0; done < count; done += KEPT) {
        allocate_all();
        for (size_t i = 0; i < KEPT; i++)
            free(kept[i]);
    }
}

static void batch_lifo(size_t count)
{
    for (size_t done = 0; done < count; done += KEPT) {
        allocate_all();
        for (size_t i = KEPT; i-- > 0;)
            free(kept[i]);
    }
}

static void batch_random(size_t count)
{
    for (size_t done = 0; done < count; done += KEPT) {
        allocate_all();
        for (size_t i = 0; i < KEPT; i++)
            free(kept[order[i]]);
    }
}

static void batch_of_64(size_t count)
{
    for (size_t done = 0; done < count; done += KEPT) {
        for (size_t i = 0; i < KEPT; i++)
            kept[i] = malloc(64);
        for (size_t i = 0; i < KEPT; i++)
            free(kept[i]);
    }
}

static void calloc_64(size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(calloc(1, 64));
}

static void realloc_growing(size_t count)
{
    for (size_t done = 0; done < count; done += STEPS) {
        void *block = NULL;
        for (size_t size = STEP; size <= LONGEST; size += STEP)
            block = realloc(block, size);
        free(block);
    }
}

static void realloc_in_place(size_t count)
{
    void *block = malloc(1000);
    for (size_t i = 0; i < count; i++)
        block = realloc(block, 990 + i % 10);
    free(block);
}

static void aligned_64(size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(aligned_alloc(64, 128));
}

static void memalign_4096(size_t count)
{
    void *block;
    for (size_t i = 0; i < count; i++)
        if (posix_memalign(&block, 4096, 4096) == 0)
            free(block);
}

static void usable_size(size_t count)
{
    void *block = malloc(100);
    for (size_t i = 0; i < count; i++)
        sum += malloc_usable_size(block);
    free(block);
}

static void sized_free(size_t count)
{
    for (size_t i = 0; i < count; i++)
        free_sized(malloc(100), 100);
}

static void new_delete(size_t count)
{
    for (size_t i = 0; i < count; i++)
        _ZdlPv(_Znwm(100));
}

static void new_sized_delete(size_t count)
{
    for (size_t i = 0; i < count; i++)
        _ZdlPvm(_Znwm(100), 100);
}

static const struct operation {
    const char *name;
    void (*run)(size_t count);
} operations[] = {
    {"pair_16", pair_16},
    {"pair_100", pair_100},
    {"pair_1000", pair_1000},
    {"pair_8K", pair_8K},
    {"pair_64K", pair_64K},
    {"pair_256K", pair_256K},
    {"pair_1M", pair_1M},
    {"pair_8M", pair_8M},
    {"batch_fifo", batch_fifo},
    {"batch_lifo", batch_lifo},
    {"batch_random", batch_random},
    {"batch_of_64", batch_of_64},
    {"calloc_64", calloc_64},
    {"realloc_growing", realloc_growing},
    {"realloc_in_place", realloc_in_place},
    {"aligned_64", aligned_64},
    {"memalign_4096", memalign_4096},
    {"usable_size", usable_size},
    {"sized_free", sized_free},
    {"new_delete", new_delete},
    {"new_sized_delete", new_sized_delete},
};
enum { OPERATIONS = sizeof operations / sizeof operations[0] };

static bool is_there(const struct operation *operation)
{
    if (operation->run == sized_free)
        return free_sized != NULL;
    if (operation->run == new_delete || operation->run == new_sized_delete)
        return _Znwm != NULL && _ZdlPv != NULL && _ZdlPvm != NULL;
    return true;
}

int main(int argc, char **argv)
{
    fill_tables();
    for (int i = 0; i < OPERATIONS; i++)
        if (argc == 1 && is_there(&operations[i]))
            puts(operations[i].name);
        else if (argc == 3 && strcmp(argv[1], operations[i].name) == 0 && is_there(&operations[i]))
            operations[i].run(strtoul(argv[2], NULL, 10));
    return argc == 1 || argc == 3 ? 0 : 2;
}
