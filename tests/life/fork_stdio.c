// SPDX-License-Identifier: MIT
// Threads that hold stdio's locks while they allocate: fork takes those locks too, after the fork handlers
// have run, so an allocator that locks itself in a handler and waits there deadlocks with a thread that waits
// for memory. usage: fork_stdio [FORKS]

#define _GNU_SOURCE
#include "../support/crowd.h"

#include <string.h>

static void write_memstream(size_t bytes)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    expect(stream != NULL);
    for (size_t i = 0; i < bytes; i += 10)
        expect(fputs("0123456789", stream) >= 0);
    expect(fclose(stream) == 0);
    expect(length == bytes && text[bytes - 1] == '9');
    free(text);
}

static void *write_memstreams(void *unused)
{
    while (!crowd_stops())
        write_memstream(20000);
    return unused;
}

static void *read_lines(void *unused)
{
    FILE *file = tmpfile();
    expect(file != NULL);
    for (int i = 1; i <= 40; i++)
        expect(fprintf(file, "%*d\n", i * i * 5, i) > 0);
    while (!crowd_stops()) {
        char *line = NULL;
        size_t capacity = 0;
        rewind(file);
        for (int i = 1; getline(&line, &capacity, file) > 0; i++)
            expect(atoi(line) == i);
        free(line);
    }
    fclose(file);
    return unused;
}

static void *print_to_nowhere(void *unused)
{
    while (!crowd_stops()) {
        FILE *file = fopen("/dev/null", "w");
        expect(file != NULL);
        for (int i = 0; i < 50; i++)
            expect(fprintf(file, "%d %s %.30f\n", i, "text", 1.0 / (i + 1)) > 0);
        expect(fclose(file) == 0);
    }
    return unused;
}

static void *flush_everything(void *unused)
{
    while (!crowd_stops()) {
        expect(fflush(NULL) == 0);
        sleep_ms(1); // the lock on the list of streams is not fair: fork would wait long for it
    }
    return unused;
}

// Streams that were in use at the fork stay alone: what is in their buffers is undefined here.
static void live_as_child(void)
{
    uint64_t state = 6;
    limit_seconds(60);
    trade_steps(30, &state);
    write_memstream(1000);
    FILE *file = fopen("/dev/null", "w");
    expect(file != NULL && fprintf(file, "%d\n", 1) > 0 && fclose(file) == 0);
    _exit(0);
}

int main(int argc, char **argv)
{
    static thread_function *const work[] = {write_memstreams, read_lines, print_to_nowhere, flush_everything};
    unsigned forks = argument(argc, argv, 1, 2000);
    limit_seconds(120 + forks); // only a hang takes that long, on however busy a machine
    crowd_begin(2, trade_until_stopped);
    for (size_t i = 0; i < sizeof work / sizeof work[0]; i++)
        crowd_begin(1, work[i]);
    for (unsigned i = 0; i < forks; i++) {
        pid_t child = fork();
        if (child == 0)
            live_as_child();
        expect_child_exits(child, 0);
    }
    crowd_end();
    return 0;
}
