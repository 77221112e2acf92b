// SPDX-License-Identifier: MIT
// Includes the source to forget, between inputs, that blocks were ever left where they were: the checks of
// sized frees are as strict for each input as for the first.
#include "core/alloc.c"

#define TARN_TEST_PREFIXED
#include "../tests/support/fill.h"
#include "../tests/support/names.h"
#include "model.h"
#include <tarn/tarn.h>

enum { BLOCKS = 32, UNTOUCHED = 4711 };

#define TOTAL_MOST ((size_t)128 << 20)
// Between these two lie sizes that some machines grant and others do not: they are not asked for.
#define SURELY_GRANTED ((size_t)96 << 20)
#define SURELY_REFUSED ((size_t)1 << 46)

// Which of the sized frees may take a block.
enum origin { OF_MALLOC, OF_ALIGNED_ALLOC, OF_OTHER };

struct block {
    unsigned char *p; // NULL: none
    size_t size, usable, align;
    enum origin origin;
    unsigned seed;
};

static struct {
    struct block blocks[BLOCKS];
    size_t total;   // bytes in all blocks
    uint32_t fault; // the call to the kernel that fails; 0: none
    bool limited;   // TARN_LIMIT_HARD is set
    unsigned last_seed;
} model;

// --- What blocks hold. Large ones are written to and looked at in places only, since each new page costs a
// fault.

enum { STAMP = 64, STAMPS = 12, ZEROS = 64 };

// Stamps of large blocks lie where pages start, which is where other blocks may start as well.
static size_t page_stride(size_t size, size_t places) { return align_up(size / places + 1, PAGE_SIZE); }

static size_t stride_of(size_t size)
{
    return size <= 4096 ? STAMP : size <= 65536 ? 1024 : page_stride(size, STAMPS);
}

static size_t stamp_size(size_t offset, size_t size) { return min_size(STAMP, size - offset); }
static unsigned stamp_seed(unsigned seed, size_t offset) { return seed + (unsigned)(offset / STAMP) * 31; }

static void stamp(struct block *b)
{
    b->seed = ++model.last_seed;
    for (size_t i = 0; i < b->usable; i += stride_of(b->usable))
        fill(b->p + i, stamp_size(i, b->usable), stamp_seed(b->seed, i));
}

// Looks at the first `size` bytes of p for what was written into b.
static void expect_content(const struct block *b, const unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i += stride_of(b->usable))
        expect(fill_stands(p + i, stamp_size(i, size), stamp_seed(b->seed, i)));
}

static void expect_zeros(const unsigned char *p, size_t size)
{
    size_t whole = min_size(size, 65536);
    expect(fill_is_zero(p, whole));
    for (size_t i = whole; i < size; i += page_stride(size, ZEROS))
        expect(fill_is_zero(p + i, stamp_size(i, size)));
}

// --- The table of blocks.

static void expect_apart(const struct block *a)
{
    uintptr_t start = (uintptr_t)a->p, end = start + a->usable;
    for (int i = 0; i < BLOCKS; i++) {
        const struct block *b = &model.blocks[i];
        if (b != a && b->p != NULL)
            expect(end <= (uintptr_t)b->p || (uintptr_t)b->p + b->usable <= start);
    }
}

// b may have been another block before; whatever it was is gone.
static void enter(struct block *b, void *p, size_t align, size_t size, enum origin origin)
{
    *b = (struct block){.p = p, .size = size, .align = align, .origin = origin};
    b->usable = mem_usable_size(p);
    expect(b->usable >= size);
    expect((uintptr_t)p % max_size(align, 16) == 0);
    expect_apart(b);
    model.total += size;
    stamp(b);
}

static void leave(struct block *b)
{
    model.total -= b->size;
    b->p = NULL;
}

static bool fault_has_happened(void) { return model.fault != 0 && os_fallible_calls() >= model.fault; }

// The result of a request that is in order; true if it is a block.
static bool is_granted(const void *p, size_t align, size_t size, int error)
{
    if (p != NULL) {
        expect(error == UNTOUCHED);
        expect(size <= SURELY_GRANTED);
        return true;
    }
    expect(error == ENOMEM);
    expect(size > SURELY_GRANTED || align > SURELY_GRANTED || model.limited || fault_has_happened());
    return false;
}

// --- Numbers from the input.

static size_t extreme_size(struct input *input)
{
    static const size_t extremes[] = {SIZE_MAX, SIZE_MAX / 2 + 128, SIZE_MAX / 4, SURELY_REFUSED + 256};
    size_t extreme = extremes[input_u8(input) % 4];
    return extreme - input_u8(input);
}

// Mostly small: the kernel's work for large blocks takes a thousand times as long as a call.
static size_t choose_size(struct input *input)
{
    unsigned kind = input_u8(input);
    if (kind < 80)
        return input_u8(input);
    if (kind < 128)
        return input_u8(input) * 8;
    if (kind < 208)
        return input_u16(input) % 8192;
    if (kind < 232)
        return input_u16(input);
    if (kind >= 248)
        return extreme_size(input);
    size_t size = (size_t)input_u16(input) * (kind < 244 ? 4 : kind < 247 ? 32 : 1280);
    return model.total + size <= TOTAL_MOST ? size : size % 65536;
}

static size_t choose_align(struct input *input)
{
    unsigned kind = input_u8(input) % 8;
    if (kind == 6)
        return input_u16(input);
    return (size_t)1 << (kind == 7 ? 47 + input_u8(input) % 17 : input_u8(input) % 27);
}

// Two factors of a product that is meant, or one too large for size_t.
static size_t choose_factors(struct input *input, size_t *count, size_t *size)
{
    static const size_t divisors[] = {1, 2, 3, 7, 16, 100};
    unsigned kind = input_u8(input);
    *count = divisors[kind % 6];
    *size = choose_size(input) / *count;
    if (kind >= 240)
        *count = SIZE_MAX / max_size(*size, 1) + 1;
    return *count * *size;
}

static bool overflows(size_t count, size_t size) { return count != 0 && size > SIZE_MAX / count; }

// --- The calls. Each gets a place of the table, which is empty where the call makes a block.

static void call_malloc(struct input *input, struct block *b)
{
    size_t size = choose_size(input);
    errno = UNTOUCHED;
    void *p = mem_malloc(size);
    if (!is_granted(p, 1, size, errno))
        return;
    enter(b, p, 1, size, OF_MALLOC);
    size_t good = tarn_good_size(size); // a large block may be one that was larger before
    expect(b->usable == good || (size > 65536 && b->usable > good && b->usable - good <= good / 8));
}

static void call_calloc(struct input *input, struct block *b)
{
    size_t count, size, bytes = choose_factors(input, &count, &size);
    errno = UNTOUCHED;
    void *p = mem_calloc(count, size);
    if (overflows(count, size)) {
        expect(p == NULL && errno == ENOMEM);
        return;
    }
    if (!is_granted(p, 1, bytes, errno))
        return;
    expect_zeros(p, bytes);
    enter(b, p, 1, bytes, OF_MALLOC);
}

static void call_aligned_alloc(struct input *input, struct block *b)
{
    size_t align = choose_align(input), size = choose_size(input);
    errno = UNTOUCHED;
    void *p = mem_aligned_alloc(align, size);
    if (!is_power_of_two(align))
        expect(p == NULL && errno == EINVAL);
    else if (is_granted(p, align, size, errno))
        enter(b, p, align, size, OF_ALIGNED_ALLOC);
}

static void call_memalign(struct input *input, struct block *b)
{
    size_t align = choose_align(input), size = choose_size(input), power = 1;
    while (power < align)
        power *= 2;
    errno = UNTOUCHED;
    void *p = mem_memalign(align, size);
    if (is_granted(p, align, size, errno))
        enter(b, p, power, size, OF_OTHER);
}

static void call_posix_memalign(struct input *input, struct block *b)
{
    size_t align = choose_align(input), size = choose_size(input);
    void *p = b;
    errno = UNTOUCHED;
    int error = mem_posix_memalign(&p, align, size);
    expect(errno == UNTOUCHED);
    expect(error == 0 || p == b);
    if (!is_power_of_two(align) || align < sizeof(void *))
        expect(error == EINVAL);
    else if (is_granted(error == 0 ? p : NULL, align, size, error == 0 ? UNTOUCHED : error))
        enter(b, p, align, size, OF_OTHER);
}

static void call_valloc(struct input *input, struct block *b)
{
    bool whole = input_u8(input) % 2;
    size_t page = os_page_size(), size = choose_size(input);
    errno = UNTOUCHED;
    void *p = whole ? mem_pvalloc(size) : mem_valloc(size);
    if (!is_granted(p, page, size, errno))
        return;
    enter(b, p, page, size, OF_OTHER);
    expect(!whole || b->usable >= align_up(max_size(size, 1), page));
}

// What is common to realloc and reallocarray once the call is made; b was the block that went in, if any.
static void look_at_resized(struct block *b, void *p, size_t size, int error)
{
    struct block old = *b;
    if (old.p != NULL && size == 0) {
        expect(p == NULL && error == UNTOUCHED);
        leave(b);
        return;
    }
    if (!is_granted(p, 1, size, error)) {
        expect(old.p == NULL || size > old.size);
        if (old.p != NULL)
            expect_content(&old, old.p, old.usable);
        return;
    }
    if (old.p != NULL) {
        expect_content(&old, p, min_size(old.size, size));
        leave(b);
    }
    enter(b, p, 1, size, OF_MALLOC);
}

static void call_realloc(struct input *input, struct block *b)
{
    size_t size = choose_size(input);
    errno = UNTOUCHED;
    void *p = mem_realloc(b->p, size);
    look_at_resized(b, p, size, errno);
}

// Steps of a few bytes, as a growing string makes them.
static void call_realloc_near(struct input *input, struct block *b)
{
    size_t step = input_u8(input), size = step < 64 ? b->size - min_size(b->size, step) : b->size + step - 64;
    errno = UNTOUCHED;
    void *p = mem_realloc(b->p, size);
    look_at_resized(b, p, size, errno);
}

static void call_reallocarray(struct input *input, struct block *b)
{
    size_t count, size, bytes = choose_factors(input, &count, &size);
    errno = UNTOUCHED;
    void *p = mem_reallocarray(b->p, count, size);
    if (!overflows(count, size)) {
        look_at_resized(b, p, bytes, errno);
        return;
    }
    expect(p == NULL && errno == ENOMEM);
    if (b->p != NULL)
        expect_content(b, b->p, b->usable);
}

static void free_block(struct block *b, bool sized)
{
    if (b->p != NULL)
        expect_content(b, b->p, b->usable);
    errno = UNTOUCHED;
    if (sized && b->origin == OF_MALLOC)
        tarn_free_sized(b->p, b->size);
    else if (sized && b->origin == OF_ALIGNED_ALLOC)
        tarn_free_aligned_sized(b->p, b->align, b->size);
    else
        mem_free(b->p);
    expect(errno == UNTOUCHED);
    if (b->p != NULL)
        leave(b);
}

static void call_free(struct input *input, struct block *b) { free_block(b, input_u8(input) % 2); }

// A whole wave of blocks, so that batches fill and spans drain.
static void call_wave(struct input *input, struct block *b)
{
    enum { MOST = 256 };
    static void *wave[MOST];
    size_t count = input_u8(input) + 1, size = input_u16(input) % 1024;
    (void)b;
    for (size_t i = 0; i < count; i++) {
        errno = UNTOUCHED;
        wave[i] = mem_malloc(size);
        if (is_granted(wave[i], 1, size, errno))
            memset(wave[i], 0xdb, min_size(size, STAMP));
    }
    for (size_t i = 0; i < count; i++)
        mem_free(wave[count % 2 ? i : count - 1 - i]);
}

// --- Calls that look, tune and tidy.

static void call_sizes(struct input *input, struct block *b)
{
    size_t size = choose_size(input), good = tarn_good_size(size);
    expect(good == 0 ? size > PTRDIFF_MAX - (1 << 20) : good >= size);
    expect(good <= PTRDIFF_MAX);
    expect(good == 0 || tarn_good_size(good) == good);
    expect(mem_usable_size(b->p) == (b->p == NULL ? 0 : b->usable));
}

static void relocate(struct block *b)
{
    size_t live, capacity, average;
    int error = tarn_utilization(b->p, &live, &capacity, &average);
    expect(error == EINVAL || (error == 0 && live <= capacity && average <= capacity));
    b->p = tarn_relocate(b->p);
}

static void call_collect(struct input *input, struct block *b)
{
    if (input_u8(input) % 8 == 0)
        expect(tarn_collect() % os_page_size() == 0);
    if (b->p != NULL)
        relocate(b);
}

static void call_fail_nth(struct input *input, struct block *b)
{
    (void)b;
    model.fault = input_u8(input) % 16;
    os_fail_nth(model.fault);
}

static void call_option_set(struct input *input, struct block *b)
{
    static const char *const settings[][2] = {{"LIMIT_HARD", "64M"},  {"LIMIT_HARD", "0"},
                                              {"TCACHE_TOTAL", "0"},  {"TCACHE_TOTAL", "64M"},
                                              {"TARN_DECAY_MS", "0"}, {"DECAY_MS", "-1"}};
    (void)b;
    unsigned i = input_u8(input) % 6;
    expect(tarn_option_set(settings[i][0], settings[i][1]) == 0);
    model.limited = i == 0 || (model.limited && i != 1);
}

// What prints a report may itself allocate.
static void count_text(void *arg, const char *text, size_t n)
{
    void *copy = mem_malloc(n);
    if (copy != NULL)
        memcpy(copy, text, n);
    mem_free(copy);
    *(size_t *)arg += n;
}

// One in 1024 only: the kernel takes a millisecond to say what is resident, and fuzzers like long reports.
static void call_stats(struct input *input, struct block *b)
{
    static unsigned asked;
    size_t length = 0;
    (void)b;
    enum tarn_stats_format format = input_u8(input) % 2 ? TARN_STATS_JSON : TARN_STATS_TEXT;
    if (asked++ % 1024 != 0)
        return;
    expect(tarn_stats_print(format, count_text, &length) == 0);
    expect(length > 0);
}

static void call_validate(struct input *input, struct block *b)
{
    (void)input, (void)b;
    expect(tarn_validate() == 0);
}

struct call {
    void (*make)(struct input *input, struct block *b);
    bool is_new; // makes a block out of nothing
};

static const struct call calls[] = {
    {call_malloc, true},        {call_malloc, true},        {call_calloc, true},
    {call_aligned_alloc, true}, {call_memalign, true},      {call_posix_memalign, true},
    {call_valloc, true},        {call_realloc, false},      {call_realloc, false},
    {call_realloc_near, false}, {call_reallocarray, false}, {call_free, false},
    {call_free, false},         {call_wave, false},         {call_sizes, false},
    {call_collect, false},      {call_fail_nth, false},     {call_option_set, false},
    {call_stats, false},        {call_validate, false},
};

void model_begin(void)
{
    setenv("TARN_DECAY_MS", "-1", 1); // no clock decides what an input does
    store_relaxed(&alloc_most_slack, SLACK_NONE);
    model.last_seed = 0;
}

void model_step(struct input *input)
{
    const struct call *call = &calls[input_u8(input) % (sizeof calls / sizeof calls[0])];
    struct block *b = &model.blocks[input_u8(input) % BLOCKS];
    if (call->is_new && b->p != NULL)
        free_block(b, input->left % 2);
    call->make(input, b);
}

// What alloc_collect does, but for the pages: taking all of them back costs as much as an input.
static void empty_caches(void)
{
    tcache_flush();
    for (unsigned cls = 1; cls < SIZE_CLASS_COUNT; cls++)
        central_trim(cls, true);
}

void model_end(void)
{
    os_fail_nth(model.fault = 0);
    model.limited = false;
    expect(tarn_option_set("LIMIT_HARD", "0") == 0);
    expect(tarn_option_set("TCACHE_TOTAL", "64M") == 0);
    expect(tarn_option_set("DECAY_MS", "-1") == 0);
    for (int i = 0; i < BLOCKS; i++)
        free_block(&model.blocks[i], i % 2);
    expect(model.total == 0);
    empty_caches();
    expect(tarn_validate() == 0);
    expect(page_heap_counts().used_pages == guard_stuck_pages()); // of hardened heaps
}
