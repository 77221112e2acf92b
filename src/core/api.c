// SPDX-License-Identifier: MIT
// The tarn_ functions; include/tarn/tarn.h says what each promises.
#include "core/alloc.h"
#include "core/defrag.h"
#include "core/init.h"
#include "core/limit.h"
#include "core/options.h"
#include "core/print.h"
#include "core/survey.h"
#include <errno.h>
#include <tarn/tarn.h>

void *tarn_malloc(size_t size) { return alloc_fast(size); }
void *tarn_calloc(size_t count, size_t size) { return alloc_zeroed(count, size); }
void *tarn_realloc(void *p, size_t size) { return alloc_resize(p, size); }
void *tarn_reallocarray(void *p, size_t count, size_t size) { return alloc_resize_array(p, count, size); }
void tarn_free(void *p) { alloc_free_fast(p); }
void tarn_free_sized(void *p, size_t size) { alloc_free_sized(p, size); }
void tarn_free_aligned_sized(void *p, size_t align, size_t size) { alloc_free_aligned_sized(p, align, size); }
void *tarn_aligned_alloc(size_t align, size_t size) { return alloc_aligned_c(align, size); }
void *tarn_memalign(size_t align, size_t size) { return alloc_memalign(align, size); }
int tarn_posix_memalign(void **result, size_t align, size_t size)
{
    return alloc_posix_memalign(result, align, size);
}
void *tarn_valloc(size_t size) { return alloc_valloc(size); }
void *tarn_pvalloc(size_t size) { return alloc_pvalloc(size); }
size_t tarn_usable_size(const void *p) { return alloc_usable_size(p, "malloc_usable_size"); }
size_t tarn_good_size(size_t size) { return alloc_good_size(size); }
const char *tarn_version(void) { return TARN_VERSION_STRING; }
size_t tarn_collect(void) { return alloc_collect(); }
int tarn_utilization(const void *p, size_t *span_live, size_t *span_capacity, size_t *class_average)
{
    return defrag_utilization(p, span_live, span_capacity, class_average);
}
void *tarn_relocate(void *p) { return defrag_relocate(p); }
int tarn_validate(void) { return survey_validate() ? 0 : -1; }

int tarn_option_get(const char *name, char *value, size_t size)
{
    heap_start();
    return options_get(name, value, size);
}

int tarn_option_set(const char *name, const char *value)
{
    heap_start();
    int error = options_set(name, value);
    if (error == 0)
        limit_refresh();
    return error;
}

int tarn_stats_print(enum tarn_stats_format format, void (*write)(void *arg, const char *text, size_t n),
                     void *arg)
{
    if (format != TARN_STATS_TEXT && format != TARN_STATS_JSON)
        return EINVAL;
    struct stats stats;
    struct printer printer;
    survey_take_resident(&stats);
    printer_init(&printer, write, arg);
    (format == TARN_STATS_TEXT ? stats_print_text : stats_print_json)(&printer, &stats);
    print_flush(&printer);
    return 0;
}

void tarn_limit_set_callback(tarn_limit_callback *callback, void *arg) { limit_set_callback(callback, arg); }

int tarn_limit_event_fd(enum tarn_limit which)
{
    bool known = which == TARN_LIMIT_SOFT || which == TARN_LIMIT_HARD;
    int fd = known ? limit_event_fd((enum limit_kind)which) : -EINVAL;
    if (fd >= 0)
        return fd;
    errno = -fd;
    return -1;
}
