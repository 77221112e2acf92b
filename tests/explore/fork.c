// SPDX-License-Identifier: MIT
// fork before each single step of a thread that allocates, frees and ends: the child, which has only the
// thread that forked, finds a whole heap and can go on.
#include "slots.h"

#include <sys/wait.h>
#include <unistd.h>

enum { KEPT = 3, OBJECTS = 9, LARGE = 100 << 10 };

static void *kept[KEPT];

static void start(void)
{
    tcache_self = &tcache_none;
    for (unsigned i = 0; i < KEPT; i++)
        slot_mark(kept[i] = alloc_fast(4096), 7);
    tcache_retire();
}

static void use_heap(unsigned rounds)
{
    void *objects[OBJECTS];
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < OBJECTS; i++) {
            explore_check((objects[i] = alloc_fast(4096)) != NULL);
            slot_mark(objects[i], i + 1);
        }
        uint64_t *large = alloc_fast(LARGE);
        explore_check(large != NULL);
        *large = 1;
        for (unsigned i = 0; i < OBJECTS; i++) {
            slot_expect(objects[i], i + 1);
            slot_mark(objects[i], 0);
            alloc_free_fast(objects[i]);
        }
        alloc_free_fast(large);
    }
}

static _Noreturn void live_on(void)
{
    alarm(2); // a lock that nobody will release
    use_heap(4);
    for (unsigned i = 0; i < KEPT; i++) {
        slot_expect(kept[i], 7);
        slot_mark(kept[i], 0);
        alloc_free_fast(kept[i]);
    }
    alloc_collect();
    explore_check(central_validate(SLOT_CLASS) && page_heap_validate() && tcache_validate());
    use_heap(1);
    _exit(0);
}

static void fork_here(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        explore_leave();
        live_on();
    }
    explore_check(child > 0 && waitpid(child, &status, 0) == child);
    explore_check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void thread(unsigned me)
{
    tcache_self = &tcache_none;
    if (me == 1) {
        fork_here();
        return;
    }
    use_heap(1);
    central_trim(SLOT_CLASS, true);
    page_heap_purge();
    tcache_retire();
}

static void finish(void)
{
    for (unsigned i = 0; i < KEPT; i++)
        slot_mark(kept[i], 0);
    central_give(SLOT_CLASS, kept, KEPT);
    page_heap_purge();
    slots_expect_none();
    page_heap_purge();
}

int main(int argc, char **argv)
{
    static const struct explore_scenario scenario = {.name = "fork",
                                                     .threads = 2,
                                                     .preemptions = 1,
                                                     .randoms = 0,
                                                     .prepare = slots_prepare,
                                                     .start = start,
                                                     .thread = thread,
                                                     .finish = finish};
    return explore_main(&scenario, argc, argv);
}
