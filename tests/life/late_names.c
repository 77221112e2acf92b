// SPDX-License-Identifier: MIT
// Names that a C program of today can reach by dlsym alone: cfree, and operator new where no C++ runtime is
// loaded to throw.

#define _GNU_SOURCE
#include "../support/checks.h"

#include <dlfcn.h>
#include <string.h>

static void find(const char *name, void *function)
{
    void *symbol = dlsym(RTLD_DEFAULT, name);
    expect(symbol != NULL);
    memcpy(function, &symbol, sizeof symbol);
}

// The cache hands out last what it was given last.
static void call_cfree(void)
{
    void (*cfree)(void *p);
    find("cfree", &cfree);
    void *volatile first = malloc(100);
    uintptr_t place = (uintptr_t)first;
    cfree(first);
    void *volatile second = malloc(100);
    expect((uintptr_t)second == place);
    cfree(second);
    cfree(NULL);
}

static _Noreturn void call_new(int output)
{
    void *(*make)(size_t size);
    expect(dlsym(RTLD_DEFAULT, "_ZSt17__throw_bad_allocv") == NULL);
    find("_Znwm", &make);
    void *p = make(100);
    expect(p != NULL);
    free(p);
    dup2(output, STDERR_FILENO);
    make(SIZE_MAX / 4);
    _exit(0);
}

static void expect_end_by_new(void)
{
    static const char wanted[] = "tarn: operator new: out of memory, and no C++ runtime to throw bad_alloc\n";
    char line[sizeof wanted + 1] = "";
    int ends[2], status = 0;
    expect(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0)
        call_new(ends[1]);
    close(ends[1]);
    expect(read(ends[0], line, sizeof line) == (ssize_t)sizeof wanted - 1 && strcmp(line, wanted) == 0);
    expect(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    limit_seconds(60);
    call_cfree();
    expect_end_by_new();
    return 0;
}
