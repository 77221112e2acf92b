// SPDX-License-Identifier: MIT
// The C library's allocation functions. All of glibc's malloc object is here, so that a static link never
// needs that one.
#include "core/alloc.h"
#include "core/init.h"
#include "core/survey.h"
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <tarn/tarn.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

void free_sized(void *p, size_t size);
void free_aligned_sized(void *p, size_t align, size_t size);
void cfree(void *p);

EXPORT void *malloc(size_t size) { return alloc_fast(size); }
EXPORT void *calloc(size_t count, size_t size) { return alloc_zeroed(count, size); }
EXPORT void *realloc(void *p, size_t size) { return alloc_resize(p, size); }
EXPORT void *reallocarray(void *p, size_t count, size_t size) { return alloc_resize_array(p, count, size); }
EXPORT void free(void *p) { alloc_free_fast(p); }
EXPORT void free_sized(void *p, size_t size) { alloc_free_sized(p, size); }
EXPORT void free_aligned_sized(void *p, size_t align, size_t size)
{
    alloc_free_aligned_sized(p, align, size);
}
EXPORT void cfree(void *p) { alloc_free_fast(p); } // programs built for glibc before 2.26
EXPORT void *aligned_alloc(size_t align, size_t size) { return alloc_aligned_c(align, size); }
EXPORT void *memalign(size_t align, size_t size) { return alloc_memalign(align, size); }
EXPORT int posix_memalign(void **result, size_t align, size_t size)
{
    return alloc_posix_memalign(result, align, size);
}
EXPORT void *valloc(size_t size) { return alloc_valloc(size); }
EXPORT void *pvalloc(size_t size) { return alloc_pvalloc(size); }
EXPORT size_t malloc_usable_size(void *p) { return alloc_usable_size(p, "malloc_usable_size"); }

// 1 if memory went back to the kernel. The padding that glibc keeps on its heap's top has no counterpart
// here.
EXPORT int malloc_trim(size_t pad)
{
    (void)pad;
    return alloc_collect() != 0;
}

EXPORT struct mallinfo2 mallinfo2(void)
{
    struct stats stats;
    survey_take(&stats);
    size_t cached = stats.cached_thread_bytes + stats.cached_batch_bytes;
    return (struct mallinfo2){.arena = stats.mapped_bytes,
                              .fsmblks = cached,
                              .uordblks = stats.live_bytes,
                              .fordblks = stats.mapped_bytes - stats.live_bytes,
                              .keepcost = stats.page_heap_dirty_bytes};
}

static int to_int(size_t n) { return n > INT32_MAX ? INT32_MAX : (int)n; }

// The old form's fields are ints; what does not fit is shown as the largest.
EXPORT struct mallinfo mallinfo(void)
{
    struct mallinfo2 info = mallinfo2();
    return (struct mallinfo){.arena = to_int(info.arena),
                             .fsmblks = to_int(info.fsmblks),
                             .uordblks = to_int(info.uordblks),
                             .fordblks = to_int(info.fordblks),
                             .keepcost = to_int(info.keepcost)};
}

// 0: refused. None of glibc's parameters has the same meaning here; TARN_ options are documented in
// docs/options.md.
EXPORT int mallopt(int parameter, int value)
{
    (void)parameter, (void)value;
    return 0;
}

static void write_to_fd(void *fd, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t written = write(*(int *)fd, text, n);
        if (written < 0 && errno != EINTR)
            return;
        text += written > 0 ? written : 0;
        n -= written > 0 ? (size_t)written : 0;
    }
}

EXPORT void malloc_stats(void) { tarn_stats_print(TARN_STATS_TEXT, write_to_fd, &(int){STDERR_FILENO}); }

static void print_system(FILE *out, const char *type, uint64_t bytes)
{
    fprintf(out, "<system type=\"%s\" size=\"%llu\"/>\n", type, (unsigned long long)bytes);
}

// glibc's XML frame with what is true here: one heap, and the same totals as mallinfo2.
EXPORT int malloc_info(int options, FILE *out)
{
    if (options != 0)
        return EINVAL;
    struct stats stats;
    survey_take(&stats);
    fprintf(out, "<malloc version=\"1\">\n<heap nr=\"0\">\n</heap>\n");
    fprintf(out, "<total type=\"live\" size=\"%llu\"/>\n", (unsigned long long)stats.live_bytes);
    fprintf(out, "<total type=\"rest\" size=\"%llu\"/>\n",
            (unsigned long long)(stats.mapped_bytes - stats.live_bytes));
    print_system(out, "current", stats.mapped_bytes);
    print_system(out, "max", stats.mapped_bytes);
    fprintf(out, "</malloc>\n");
    return 0;
}

// Early, so that our fork handler comes before the program's own, which may allocate, and so that the C
// library never grows its list of handlers, under its lock, while it waits for memory from a heap that wants
// to register one.
static __attribute__((constructor(101))) void at_load(void) { heap_start(); }
