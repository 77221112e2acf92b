// SPDX-License-Identifier: MIT
// What the workloads share: options, random numbers and sizes, threads that start together, results.
// The main thread, unless said otherwise.
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { WORK_THREADS_MAX = 512 };

// A workload's own option, `--name VALUE`, a number. A list ends with a NULL name.
struct work_option {
    const char *name;
    uint64_t *value;
};

// Of a thread; its random numbers depend on --seed and its index only. Apart from its neighbours in memory,
// also for processors that fetch lines in pairs: each number drawn is written back.
struct __attribute__((aligned(128))) worker {
    unsigned index;
    uint64_t random;
    void *own;    // for the workload
    size_t count; // what the thread did; work_run adds it up
};

extern unsigned work_threads; // --threads
extern uint64_t work_seed;    // --seed

// Reads --threads N, --work PERCENT, --seed S and the workload's options; ends the program if it cannot.
void work_start(int argc, char **argv, const struct work_option *options);
// `amount` at --work 100, at least 1.
size_t work_amount(size_t amount);
// The share of each thread.
size_t work_share(size_t amount);
// Runs `body` in n threads that start together; returns the seconds from their start to the end of the last.
double work_run(unsigned n, void *(*body)(void *worker));
// What the workers of the last run counted.
size_t work_count(void);
double work_seconds(void);
// Prints a line `result NAME VALUE UNIT`.
void work_result(const char *name, double value, const char *unit);
void work_rate(const char *unit, size_t count, double seconds);
// Ends the program: an allocator that fails or corrupts memory has no time to show.
void work_fail(const char *what);
void *work_need(void *p);

// Any thread, from here on.

static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static inline uint64_t random_below(uint64_t *state, uint64_t bound)
{
    return (random_next(state) >> 32) * bound >> 32;
}

// Many small sizes and few large ones: each doubling is half as likely (Pareto with shape 1), up to `most`.
static inline size_t random_pareto(uint64_t *state, size_t least, size_t most)
{
    size_t size = (size_t)((double)least * 4294967296.0 / (double)((random_next(state) >> 32) + 1));
    return size < most ? size : least + random_below(state, most - least);
}

// A block's first and last byte, so that both its lines are touched and a block that two own is seen.
static inline void stamp(void *p, size_t size, uint64_t mark)
{
    ((volatile unsigned char *)p)[0] = (unsigned char)mark;
    ((volatile unsigned char *)p)[size - 1] = (unsigned char)mark;
}

static inline void check_stamp(const void *p, size_t size, uint64_t mark)
{
    const volatile unsigned char *bytes = (const volatile unsigned char *)p;
    if (bytes[0] != (unsigned char)mark || bytes[size - 1] != (unsigned char)mark)
        work_fail("a block lost its content");
}

// For blocks that travel between threads: each carries its size, and a mark in its last byte. What is freed
// loses the size, so that a block that two own is seen. size >= sizeof(size_t).
static inline char *marked_new(size_t size)
{
    size_t *block = (size_t *)work_need(malloc(size));
    *block = size;
    ((char *)block)[size - 1] = (char)(size * 31);
    return (char *)block;
}

static inline void marked_free(char *block)
{
    if (block != NULL) {
        size_t size = *(size_t *)(void *)block;
        if (size == 0 || block[size - 1] != (char)(size * 31))
            work_fail("a block lost its content");
        *(size_t *)(void *)block = 0;
    }
    free(block);
}

// Latencies by logarithm, sixteen steps for each doubling of nanoseconds.
struct latencies {
    uint64_t counts[64 * 16];
};

uint64_t work_nanoseconds(void);
void latencies_add(struct latencies *self, uint64_t nanoseconds);
void latencies_merge(struct latencies *self, const struct latencies *other);
// Prints p50, p99 and p99.9 in microseconds.
void latencies_print(const struct latencies *self);

#ifdef __cplusplus
}
#endif

#endif
