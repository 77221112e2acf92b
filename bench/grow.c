// SPDX-License-Identifier: MIT
// Buffers that grow by realloc while something of unknown length is read into them: an answer, a file, a
// table. Each grows by half of its size at a step, from 64 KiB to its length, and every page of it is
// written to.
//
// options: --most BYTES (128 MiB): lengths from a 64th of that up to that

#include "work.h"

enum { LEAST = 64 << 10, KERNEL_PAGE = 4096 };

static uint64_t most = 128 << 20;

static char *read_more(char *buffer, size_t from, size_t to)
{
    buffer = work_need(realloc(buffer, to));
    if (from != 0)
        check_stamp(buffer, from, from);
    for (size_t at = from; at < to; at += KERNEL_PAGE)
        buffer[at] = 1;
    stamp(buffer, to, to);
    return buffer;
}

static void read_one(size_t length)
{
    char *buffer = read_more(NULL, 0, LEAST);
    size_t size = LEAST;
    for (size_t next; size < length; size = next) {
        next = size + size / 2 < length ? size + size / 2 : length;
        buffer = read_more(buffer, size, next);
    }
    free(buffer);
}

static void *read_all(void *arg)
{
    struct worker *self = arg;
    for (size_t n = work_share((UINT64_C(20) << 30) / most); self->count < n; self->count++)
        read_one(most / 64 + random_below(&self->random, most - most / 64 + 1));
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv, (struct work_option[]){{"most", &most}, {0}});
    if (most < 64 * LEAST)
        return 2;
    double seconds = work_run(work_threads, read_all);
    work_rate("buffers/s", work_count(), seconds);
    return 0;
}
