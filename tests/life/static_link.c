// SPDX-License-Identifier: MIT
// A program linked with -static: every name of the C library's malloc must come from ours, or the link fails
// with two definitions; then threads, fork and stdio on it.

#define _GNU_SOURCE
#include "../support/crowd.h"

#include <malloc.h>
#include <string.h>
#include <tarn/tarn.h>

static void run_threads(void)
{
    crowd_begin(4, trade_much);
    crowd_join();
}

static void call_the_family(void)
{
    void *aligned = NULL;
    expect(posix_memalign(&aligned, 256, 1000) == 0);
    void *blocks[] = {malloc(100),
                      calloc(10, 10),
                      realloc(NULL, 100),
                      reallocarray(NULL, 10, 10),
                      aligned_alloc(64, 64),
                      memalign(4096, 100),
                      valloc(100),
                      pvalloc(100),
                      aligned};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        expect(blocks[i] != NULL && malloc_usable_size(blocks[i]) >= 64);
        expect(tarn_usable_size(blocks[i]) == malloc_usable_size(blocks[i]));
        free(blocks[i]);
    }
}

// Called for the linker's sake; what they answer is tested with the shared library.
static void call_the_extras(void)
{
    FILE *nowhere = fopen("/dev/null", "w");
    expect(nowhere != NULL);
    expect(malloc_info(0, nowhere) == 0);
    fclose(nowhere);
    struct mallinfo2 info = mallinfo2();
    expect(info.uordblks + info.hblkhd > 0);
    expect(malloc_trim(0) >= 0);
    expect(mallopt(M_TRIM_THRESHOLD, 1 << 20) >= 0);
}

static void print_long_text(void)
{
    char *text = NULL;
    expect(asprintf(&text, "%5000d", 7) == 5000);
    expect(strlen(text) == 5000 && text[4999] == '7');
    free(text);
}

static void run_everything(void)
{
    call_the_family();
    call_the_extras();
    print_long_text();
    run_threads();
    expect_heap_is_whole();
}

int main(void)
{
    limit_seconds(120);
    run_everything();
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            limit_seconds(60);
            if (i < 3)
                run_everything();
            slots_clear(slots);
            exit(0);
        }
        expect_child_exits(child, 0);
    }
    slots_clear(slots);
    return 0;
}
