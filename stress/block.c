// SPDX-License-Identifier: MIT
#include "block.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <tarn/tarn.h>
#include <unistd.h>

// Of longer blocks only this much at each end is written, or first touches would be all that a run does.
#define WHOLE_BYTES ((size_t)4 << 20)
#define END_BYTES ((size_t)64 << 10)
#define LARGE_ABOVE ((size_t)64 << 10) // the largest size class

static atomic_bool failure_allowed; // relaxed: makers meet when it changes

void block_allow_failure(bool allowed)
{
    atomic_store_explicit(&failure_allowed, allowed, memory_order_relaxed);
}

static bool may_fail(void) { return atomic_load_explicit(&failure_allowed, memory_order_relaxed); }

void fault(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("tarn-stress: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs("\n", stderr);
    va_end(arguments);
    _exit(1); // the other threads still run
}

void maker_init(struct maker *self, uint64_t seed, uint64_t number)
{
    *self = (struct maker){.seed = seed, .next_id = number << 40, .rng = {rng_mix(seed + rng_mix(number))}};
}

void maker_absorb(struct maker *self, struct maker *other)
{
    self->held_bytes += other->held_bytes;
    self->operations += other->operations;
    self->refused += other->refused;
    other->held_bytes = 0;
    other->operations = other->refused = 0;
}

// --- The pattern.

static uint64_t pattern_key(uint64_t seed, const struct block *block)
{
    return rng_mix(seed ^ rng_mix(block->id ^ rng_mix(block->size)));
}

// Eight bytes at a time; a block's last bytes are the first ones of a word, so that a part can be looked at
// alone.
static uint64_t pattern_word(uint64_t key, size_t i) { return (key ^ i) * UINT64_C(0x9e3779b97f4a7c15); }

static size_t word_length(size_t at, size_t end) { return end - at < 8 ? end - at : 8; }

static void fill_part(const struct block *block, uint64_t key, size_t from, size_t end)
{
    for (size_t at = from; at < end; at += 8) {
        uint64_t word = pattern_word(key, at);
        memcpy(block->p + at, &word, word_length(at, end));
    }
}

static void verify_part(const struct block *block, uint64_t key, size_t from, size_t end)
{
    for (size_t at = from; at < end; at += 8) {
        uint64_t word = pattern_word(key, at);
        if (memcmp(block->p + at, &word, word_length(at, end)) != 0)
            fault("block %llx of %zu bytes at %p: byte %zu or one close behind it was overwritten",
                  (unsigned long long)block->id, block->size, (void *)block->p, at);
    }
}

typedef void part_function(const struct block *block, uint64_t key, size_t from, size_t end);

static void for_parts(part_function *visit, uint64_t seed, const struct block *block, size_t size)
{
    uint64_t key = pattern_key(seed, block);
    if (block->size <= WHOLE_BYTES) {
        visit(block, key, 0, size);
        return;
    }
    visit(block, key, 0, size < END_BYTES ? size : END_BYTES);
    if (size == block->size)
        visit(block, key, (size - END_BYTES) & ~(size_t)7, size);
}

void block_rewrite(const struct maker *maker, const struct block *block)
{
    for_parts(fill_part, maker->seed, block, block->size);
}

void block_verify(const struct maker *maker, const struct block *block)
{
    for_parts(verify_part, maker->seed, block, block->size);
}

// --- Sizes.

size_t block_random_size(struct rng *rng)
{
    uint64_t kind = rng_below(rng, 1000);
    size_t most = kind < 500   ? 128
                  : kind < 850 ? 1024
                  : kind < 970 ? (size_t)16 << 10
                  : kind < 998 ? (size_t)128 << 10
                               : (size_t)4 << 20;
    return (size_t)rng_below(rng, most + 1);
}

// --- Making.

static bool is_sized(const struct block *block)
{
    return block->kind == BLOCK_SIZED || block->kind == BLOCK_RESIZED;
}

// What a block may hold at most: realloc leaves room to grow, and a large block that was freed a moment ago
// serves requests of up to an eighth less.
static size_t most_held(const struct block *block)
{
    size_t most = tarn_good_size(block->size + (block->kind == BLOCK_RESIZED ? block->size / 4 : 0));
    return most <= LARGE_ABOVE ? most : most + most / 8;
}

static void check(struct maker *maker, const struct block *block)
{
    size_t holds = tarn_usable_size(block->p), most = most_held(block);
    if (errno != 0)
        fault("errno is %d though there was memory for %zu bytes", errno, block->size);
    if (((uintptr_t)block->p & (block->align - 1)) != 0)
        fault("%p is no multiple of %zu", (void *)block->p, block->align);
    if (holds < block->size)
        fault("%p holds %zu bytes instead of %zu", (void *)block->p, holds, block->size);
    // realloc keeps the larger block where there is no memory for a smaller one
    if (is_sized(block) && holds > most && !(block->kind == BLOCK_RESIZED && may_fail()))
        fault("%p holds %zu bytes for %zu, which is more than %zu", (void *)block->p, holds, block->size,
              most);
    maker->held_bytes += (int64_t)holds;
    maker->operations++;
}

static bool is_refused(struct maker *maker, const void *p, size_t align, size_t size)
{
    if (p == NULL && (!may_fail() || errno != ENOMEM))
        fault("no memory for %zu bytes at a multiple of %zu, errno is %d", size, align, errno);
    maker->refused += p == NULL;
    return p == NULL;
}

static struct block finish(struct maker *maker, void *p, size_t align, size_t size, enum block_kind kind)
{
    struct block block = {.p = p, .size = size, .align = align, .kind = kind, .id = maker->next_id++};
    if (is_refused(maker, p, align, size))
        return (struct block){0};
    check(maker, &block);
    block_rewrite(maker, &block);
    return block;
}

static struct block make_zeroed(struct maker *maker, size_t size)
{
    size_t count = 1 + (size_t)rng_below(&maker->rng, 8), each = size / count;
    unsigned char *p = tarn_calloc(count, each);
    size_t zeros = count * each < WHOLE_BYTES ? count * each : WHOLE_BYTES;
    if (p != NULL && zeros > 0 && (p[0] != 0 || memcmp(p, p + 1, zeros - 1) != 0))
        fault("%p of %zu times %zu bytes is not zero", (void *)p, count, each);
    return finish(maker, p, 16, count * each, BLOCK_SIZED);
}

struct block block_make_by(struct maker *maker, void *(*make)(size_t size), size_t size)
{
    errno = 0;
    return finish(maker, make(size), 16, size, BLOCK_SIZED);
}

struct block block_make(struct maker *maker, size_t size)
{
    errno = 0;
    switch (rng_below(&maker->rng, 16)) {
    case 0:
        return make_zeroed(maker, size);
    case 1:
        return finish(maker, tarn_realloc(NULL, size), 16, size, BLOCK_SIZED);
    case 2:
        return finish(maker, tarn_reallocarray(NULL, size / 3, 3), 16, size / 3 * 3, BLOCK_SIZED);
    case 3:
        return block_make_aligned(maker, (size_t)1 << rng_below(&maker->rng, 13), size);
    default:
        return finish(maker, tarn_malloc(size), 16, size, BLOCK_SIZED);
    }
}

static struct block make_posix(struct maker *maker, size_t align, size_t size)
{
    void *p = NULL;
    align = align < sizeof(void *) ? sizeof(void *) : align;
    int error = tarn_posix_memalign(&p, align, size);
    if (errno != 0 || (error != 0) != (p == NULL))
        fault("posix_memalign gave %p, errno %d and %d", p, errno, error);
    errno = error;
    return finish(maker, p, align, size, BLOCK_PLAIN);
}

static struct block make_whole_pages(struct maker *maker, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return finish(maker, tarn_pvalloc(size), page, (size + page - 1) & ~(page - 1), BLOCK_PLAIN);
}

struct block block_make_aligned(struct maker *maker, size_t align, size_t size)
{
    errno = 0;
    switch (rng_below(&maker->rng, 16)) {
    case 0:
        return finish(maker, tarn_valloc(size), (size_t)sysconf(_SC_PAGESIZE), size, BLOCK_PLAIN);
    case 1:
        return make_whole_pages(maker, size);
    case 2:
    case 3:
    case 4:
        return make_posix(maker, align, size);
    case 5:
    case 6:
    case 7:
        return finish(maker, tarn_memalign(align, size), align, size, BLOCK_PLAIN);
    default:
        return finish(maker, tarn_aligned_alloc(align, size), align, size, BLOCK_ALIGNED);
    }
}

// --- Changing and ending.

static void *resized(struct maker *maker, struct block *block, size_t size)
{
    if (size % 4 == 0 && rng_one_in(&maker->rng, 4))
        return tarn_reallocarray(block->p, size / 4, 4);
    return tarn_realloc(block->p, size);
}

void block_resize(struct maker *maker, struct block *block, size_t size)
{
    size = size == 0 ? 1 : size; // 0 would end the block's life
    block_verify(maker, block);
    int64_t held = (int64_t)tarn_usable_size(block->p);
    struct block moved = *block;
    errno = 0;
    moved.p = resized(maker, block, size);
    if (size > block->size && is_refused(maker, moved.p, 16, size)) {
        block_verify(maker, block);
        return;
    }
    if (moved.p == NULL)
        fault("realloc of %zu bytes to %zu gave NULL", block->size, size);
    maker->held_bytes -= held;
    for_parts(verify_part, maker->seed, &moved, size < block->size ? size : block->size);
    *block = finish(maker, moved.p, 16, size, BLOCK_RESIZED);
}

static void release(struct maker *maker, struct block *block)
{
    bool sized = rng_one_in(&maker->rng, 3);
    if (sized && is_sized(block))
        tarn_free_sized(block->p, block->size);
    else if (sized && block->kind == BLOCK_ALIGNED)
        tarn_free_aligned_sized(block->p, block->align, block->size);
    else if (rng_one_in(&maker->rng, 64)) {
        if (tarn_realloc(block->p, 0) != NULL)
            fault("realloc to no bytes gave a block");
    } else
        tarn_free(block->p);
}

void block_end(struct maker *maker, struct block *block)
{
    if (block->p == NULL)
        return;
    int before = errno = (int)rng_below(&maker->rng, 100);
    block_verify(maker, block);
    maker->held_bytes -= (int64_t)tarn_usable_size(block->p);
    release(maker, block);
    if (errno != before)
        fault("free changed errno from %d to %d", before, errno);
    maker->operations++;
    block->p = NULL;
}
