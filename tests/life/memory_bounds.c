// SPDX-License-Identifier: MIT
// The library's own limits, TARN_LIMIT_SOFT and TARN_LIMIT_HARD, in whole programs: resident memory keeps
// below the hard one while threads ask for more than that, refusal is NULL and ENOMEM, and what was freed can
// be had again; above the soft one free memory goes back though its time has not come, and the program is
// told.
//
// usage: memory_bounds     runs itself once for each case

#define _GNU_SOURCE
#include "../support/exhaust.h"

#include <pthread.h>
#include <tarn/tarn.h>

static _Atomic(unsigned) soft, hard;

static void count_crossing(enum tarn_limit limit, size_t bytes, void *arg)
{
    (void)arg;
    expect(bytes > 0);
    *(limit == TARN_LIMIT_SOFT ? &soft : &hard) += 1;
    void *p = malloc(100000); // it may allocate; near the hard limit it may get nothing
    free(p);
}

static bool is_readable(int fd)
{
    struct pollfd wanted = {fd, POLLIN, 0};
    return poll(&wanted, 1, 0) == 1;
}

enum { THREADS = 4 };

static _Atomic(size_t) taken; // by all threads: one that comes late may find that the others have everything

static pthread_barrier_t all_there; // to start a thread takes memory too

static void *exhaust_sizes(void *arg)
{
    node *list = NULL;
    size_t sum = 0;
    pthread_barrier_wait(&all_there);
    for (size_t size = (size_t)1 << (unsigned)(14 + (size_t)arg); size >= 16; size /= 2)
        sum += exhaust(&list, size, true);
    free_all(&list);
    taken += sum;
    return NULL;
}

// 64 MiB of the heap's; what else there is, stacks among it, gets 16.
static void keep_below_the_hard_limit(void)
{
    pthread_t threads[THREADS];
    size_t most = 0, before = resident_kib();
    int fd = tarn_limit_event_fd(TARN_LIMIT_HARD);
    expect(fd >= 0);
    tarn_limit_set_callback(count_crossing, NULL);
    pthread_barrier_init(&all_there, NULL, THREADS);
    for (int round = 0; round < 2; round++) {
        taken = 0;
        for (size_t i = 0; i < THREADS; i++)
            expect(pthread_create(&threads[i], NULL, exhaust_sizes, (void *)(3 * i)) == 0);
        for (int i = 0; i < THREADS; i++)
            while (pthread_tryjoin_np(threads[i], NULL) != 0) {
                size_t now = resident_kib();
                most = now > most ? now : most;
                sleep_ms(2);
            }
        expect(taken >= 48 * mib);
    }
    printf("resident: %zu KiB before, %zu KiB at most\n", before, most);
    fflush(stdout);
    expect(most > 48 * 1024 && most < before + 65 * 1024 + 512 * THREADS);
    expect(hard > 0 && is_readable(fd));
    expect_heap_is_whole();
    node *list = NULL;
    expect(exhaust(&list, mib, true) >= 56 * mib);
    free_all(&list);
}

// Nothing decays by itself here (TARN_DECAY_MS=-1).
static void give_back_above_the_soft_limit(void)
{
    node *list = NULL;
    size_t allocated = 0;
    int fd = tarn_limit_event_fd(TARN_LIMIT_SOFT);
    tarn_limit_set_callback(count_crossing, NULL);
    for (int i = 0; i < 20; i++) {
        for (size_t size = 100; size < 40000; size += size / 2)
            for (size_t sum = 0; sum < 2 * mib; sum += size, allocated += size) {
                node *l = malloc(size);
                memset(l, 1, size);
                l->next = list;
                list = l;
            }
        free_all(&list);
        sleep_ms(20); // the memory above goes back at most each 10 ms
        free(malloc(4 * mib));
    }
    printf("resident: %zu KiB; crossed %u times\n", resident_kib(), (unsigned)soft);
    fflush(stdout);
    expect(resident_kib() < 28 * 1024);
    // Each round crosses; and to cross again a sixteenth of the limit has to be free first, and then in use.
    expect(soft >= 20 && soft <= allocated / (24 * mib / 16) && hard == 0);
    expect(is_readable(fd));
    expect_heap_is_whole();
}

static void grow_a_block_to_the_limit(void)
{
    unsigned char *block = malloc(mib);
    size_t size = mib;
    memset(block, 7, size);
    for (unsigned char *grown; (grown = realloc(block, size + mib)) != NULL; size += mib) {
        block = grown;
        memset(block + size, 7, mib);
    }
    expect(errno == ENOMEM && size >= 28 * mib && size < 64 * mib);
    for (size_t i = 0; i < size; i += 4096)
        expect(block[i] == 7);
    free(block);
    block = malloc(56 * mib);
    expect(block != NULL);
    free(block);
    expect_heap_is_whole();
}

// The child starts with what its parent holds.
static void keep_below_in_a_child(void)
{
    node *list = NULL;
    size_t half = 0;
    for (; half < 32 * mib; half += 1000) {
        node *l = malloc(1000);
        l->next = list;
        list = l;
    }
    pid_t child = fork();
    if (child == 0) {
        node *more = NULL;
        size_t sum = exhaust(&more, 10000, true);
        expect(sum > 16 * mib && sum < 32 * mib);
        free_all(&list);
        expect(exhaust(&more, 10000, true) > 28 * mib);
        expect_heap_is_whole();
        _exit(0);
    }
    expect_child_exits(child, 0);
}

static void find_cached(void *bytes, const char *text, size_t n)
{
    static const char name[] = "\"cached_thread_bytes\": ";
    const char *at = memmem(text, n, name, sizeof name - 1);
    if (at != NULL)
        *(size_t *)bytes = strtoul(at + sizeof name - 1, NULL, 10);
}

static size_t cached_bytes(void)
{
    size_t bytes = SIZE_MAX;
    expect(tarn_stats_print(TARN_STATS_JSON, find_cached, &bytes) == 0 && bytes != SIZE_MAX);
    return bytes;
}

static pthread_barrier_t meeting;

static void take_and_give(size_t size, size_t n)
{
    node *list = NULL;
    for (size_t i = 0; i < n; i++) {
        node *l = malloc(size);
        l->next = list;
        list = l;
    }
    free_all(&list);
}

static void *fill_a_cache(void *unused)
{
    for (int round = 0; round < 4; round++)
        for (size_t size = 16; size <= 32768; size += size / 2)
            take_and_give(size, 65536 / size + 8);
    pthread_barrier_wait(&meeting); // all are filled
    pthread_barrier_wait(&meeting); // the limit was crossed
    take_and_give(16, 1000);
    pthread_barrier_wait(&meeting);
    pthread_barrier_wait(&meeting);
    return unused;
}

// What other threads have cached goes back when each of them next comes to a slow path.
static void press_all_caches(void)
{
    pthread_t threads[THREADS];
    node *list = NULL;
    pthread_barrier_init(&meeting, NULL, THREADS + 1);
    tarn_limit_set_callback(count_crossing, NULL);
    for (size_t i = 0; i < THREADS; i++)
        expect(pthread_create(&threads[i], NULL, fill_a_cache, NULL) == 0);
    pthread_barrier_wait(&meeting);
    size_t filled = cached_bytes(), asleep = 0;
    expect(filled > THREADS * mib / 2 && soft == 0);
    for (size_t sum = 0; soft == 0 && sum < 64 * mib; sum += mib) {
        node *l = malloc(mib);
        l->next = list;
        list = l;
    }
    expect(soft == 1);
    asleep = cached_bytes();
    pthread_barrier_wait(&meeting);
    pthread_barrier_wait(&meeting);
    size_t awake = cached_bytes();
    printf("cached: %zu KiB, %zu while the threads sleep, %zu afterwards\n", filled / 1024, asleep / 1024,
           awake / 1024);
    expect(asleep > filled / 2 && awake < filled / 8);
    pthread_barrier_wait(&meeting);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    free_all(&list);
    expect_heap_is_whole();
}

static const struct {
    const char *name, *soft, *hard;
    void (*run)(void);
} cases[] = {{"hard", "0", "64M", keep_below_the_hard_limit},
             {"soft", "24M", "0", give_back_above_the_soft_limit},
             {"both", "24M", "1G", give_back_above_the_soft_limit},
             {"caches", "48M", "0", press_all_caches},
             {"realloc", "48M", "64M", grow_a_block_to_the_limit},
             {"fork", "0", "64M", keep_below_in_a_child}};
enum { CASES = sizeof cases / sizeof cases[0] };

static void run_case(char *program, size_t i)
{
    pid_t child = fork();
    if (child == 0) {
        setenv("TARN_LIMIT_SOFT", cases[i].soft, 1);
        setenv("TARN_LIMIT_HARD", cases[i].hard, 1);
        setenv("TARN_DECAY_MS", "-1", 1);
        execl("/proc/self/exe", program, cases[i].name, (char *)NULL);
        _exit(1);
    }
    expect_child_exits(child, 0);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < CASES; i++) {
        if (argc == 2 && strcmp(argv[1], cases[i].name) == 0) {
            limit_seconds(60);
            cases[i].run();
        } else if (argc != 2) {
            printf("-- %s\n", cases[i].name);
            fflush(stdout);
            run_case(argv[0], i);
        }
    }
    return 0;
}
