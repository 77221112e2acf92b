// SPDX-License-Identifier: MIT
// posix_spawn, vfork, system and popen while other threads allocate: with vfork the child runs on the
// parent's heap. usage: spawn [ROUNDS]

#define _GNU_SOURCE
#include "../support/crowd.h"

#include <spawn.h>
#include <string.h>

enum { THREADS = 4 };

extern char **environ;

static void spawn_shell(void)
{
    char shell[] = "sh", option[] = "-c", script[] = "exit 11";
    char *const arguments[] = {shell, option, script, NULL};
    pid_t child = 0;
    expect(posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environ) == 0);
    expect_child_exits(child, 11);
}

static void vfork_shell(void)
{
    pid_t child = vfork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", "exit 12", (char *)NULL);
        _exit(1);
    }
    expect_child_exits(child, 12);
}

static void call_system(void)
{
    int status = system("exit 13");
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 13);
}

static void read_from_shell(void)
{
    char line[64] = "";
    FILE *output = popen("echo fourteen; exit 14", "r");
    expect(output != NULL);
    expect(fgets(line, sizeof line, output) != NULL && strcmp(line, "fourteen\n") == 0);
    int status = pclose(output);
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 14);
}

int main(int argc, char **argv)
{
    unsigned rounds = argument(argc, argv, 1, 100);
    limit_seconds(60 + rounds);
    crowd_begin(THREADS, trade_until_stopped);
    for (unsigned i = 0; i < rounds; i++) {
        spawn_shell();
        vfork_shell();
        call_system();
        read_from_shell();
    }
    crowd_end();
    return 0;
}
