// SPDX-License-Identifier: MIT
// Several large buffers at a time grow by realloc, a quarter of their size at each step, as files and answers
// are read; a full one is freed and starts anew.
//
// options: --most BYTES (32 MiB), --settle MS (1000)

#include "memory.h"

enum { BUFFERS = 4, LEAST = 64 << 10, STEPS = 6000 };

static uint64_t most = 32 * MIB;

static char *grow(char *buffer)
{
    size_t old = memory_size(buffer), size = old + old / 4;
    if (size > most) {
        memory_free(buffer);
        return memory_new(LEAST);
    }
    size_t *grown = work_need(realloc(buffer, size));
    if (*grown != old || ((char *)grown)[old - 1] != (char)(old * 31))
        work_fail("a block lost its content");
    *grown = size;
    for (size_t at = old; at < size; at += MEMORY_PAGE)
        ((volatile char *)grown)[at] = 1;
    ((char *)grown)[size - 1] = (char)(size * 31);
    memory_count((long)(size - old));
    return (char *)grown;
}

static void *read_all(void *arg)
{
    struct worker *self = arg;
    char *buffers[BUFFERS];
    for (int i = 0; i < BUFFERS; i++)
        buffers[i] = memory_new(LEAST);
    memory_meet("growth");
    for (size_t n = work_share(STEPS); self->count < n; self->count++) {
        char **buffer = &buffers[random_below(&self->random, BUFFERS)];
        *buffer = grow(*buffer);
    }
    memory_settle();
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv, (struct work_option[]){{"most", &most}, {"settle", &memory_settle_ms}, {0}});
    memory_begin();
    work_run(work_threads, read_all);
    memory_end();
    return 0;
}
