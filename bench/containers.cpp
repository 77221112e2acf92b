// SPDX-License-Identifier: MIT
// Trees, hash maps, lists, vectors and strings of the C++ library, built up, changed and torn down in each
// thread.

#include "work.h"
#include <list>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace
{

constexpr std::uint64_t keys = 20000;

std::string word(std::uint64_t *random) { return std::string(random_below(random, 60), 'w'); }

std::size_t churn_tree(std::uint64_t *random)
{
    std::map<std::uint64_t, std::string> tree;
    for (std::uint64_t i = 0; i < keys; i++) {
        tree[random_below(random, keys)] = word(random);
        tree.erase(random_below(random, keys));
    }
    return 2 * keys;
}

std::size_t churn_hash(std::uint64_t *random)
{
    std::unordered_map<std::string, std::vector<std::uint64_t>> map;
    for (std::uint64_t i = 0; i < keys; i++) {
        map[std::to_string(random_below(random, keys)) + " as a key"].push_back(i);
        map.erase(std::to_string(random_below(random, keys)) + " as a key");
    }
    return 2 * keys;
}

std::size_t churn_list(std::uint64_t *random)
{
    std::list<std::string> list;
    for (std::uint64_t i = 0; i < keys; i++) {
        list.push_back(word(random));
        if (random_below(random, 4) != 0)
            list.pop_front();
    }
    return 2 * keys;
}

void *churn(void *arg)
{
    auto *self = static_cast<worker *>(arg);
    for (std::size_t n = work_share(24000000); self->count < n;)
        self->count += churn_tree(&self->random) + churn_hash(&self->random) + churn_list(&self->random);
    return nullptr;
}

} // namespace

int main(int argc, char **argv)
{
    work_start(argc, argv, nullptr);
    double seconds = work_run(work_threads, churn);
    work_rate("changes/s", work_count(), seconds);
    return 0;
}
