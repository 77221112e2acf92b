// SPDX-License-Identifier: MIT
#include "core/random.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

Test(random, numbers_stay_below_their_bound_and_reach_all_of_it)
{
    unsigned seen[7] = {0};
    for (int i = 0; i < 7000; i++) {
        size_t n = random_below(7);
        cr_assert_lt(n, 7u);
        seen[n]++;
    }
    for (int i = 0; i < 7; i++)
        cr_assert(seen[i] > 700 && seen[i] < 1300, "%d came %u times", i,
                  seen[i]); // 1000, give or take 10 sigma
    cr_assert_eq(random_below(1), 0u);
}

Test(random, a_shuffle_keeps_what_is_there_and_moves_each_to_any_place)
{
    unsigned first[8] = {0};
    for (int round = 0; round < 4000; round++) {
        char base[8];
        void *objects[8];
        unsigned mask = 0;
        for (size_t i = 0; i < 8; i++)
            objects[i] = &base[i];
        random_shuffle(objects, 8);
        for (size_t i = 0; i < 8; i++)
            mask |= 1u << ((char *)objects[i] - base);
        cr_assert_eq(mask, 255u);
        first[(char *)objects[0] - base]++;
    }
    for (int i = 0; i < 8; i++)
        cr_assert(first[i] > 300 && first[i] < 700, "%d came first %u times", i, first[i]);
}

Test(random, a_child_draws_other_numbers)
{
    int ends[2];
    uint64_t childs = 0;
    random_bits();
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        random_after_fork();
        uint64_t drawn = random_bits();
        _exit(write(ends[1], &drawn, sizeof drawn) != sizeof drawn);
    }
    cr_assert_eq(read(ends[0], &childs, sizeof childs), (ssize_t)sizeof childs);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    cr_assert_neq(childs, random_bits());
}
