// SPDX-License-Identifier: MIT
// Threads that allocate and free while they end: in thread_local destructors, in several rounds of key
// destructors that run after the library's own, and in the C library after all of them. usage:
// tls_destructors [THREADS]

#include "../support/checks.h"

#include <dlfcn.h>
#include <pthread.h>

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace
{

constexpr int keys = 4;
pthread_key_t key[keys];
std::vector<std::unique_ptr<std::string>> shared;
pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;

std::string long_text(int n)
{
    return std::to_string(n) + std::string(static_cast<std::size_t>(50 + n % 700), 'x');
}

// Its destructor allocates, frees, and hands a block to whatever thread comes next.
struct farewell {
    std::map<int, std::string> texts;
    ~farewell()
    {
        std::vector<std::string> copies;
        for (auto &[n, text] : texts) {
            expect(text == long_text(n));
            copies.push_back(text + text);
        }
        pthread_mutex_lock(&shared_lock);
        shared.push_back(std::make_unique<std::string>(copies.empty() ? "none" : copies.back()));
        if (shared.size() > 100)
            shared.clear();
        pthread_mutex_unlock(&shared_lock);
    }
};

thread_local farewell in_thread;

struct rounds_left {
    int rounds;
    char *text;
};

// Comes again in the next round with a new block, as often as POSIX promises rounds.
void destroy_key_value(void *value)
{
    auto *left = static_cast<rounds_left *>(value);
    for (pthread_key_t k : key)
        if (left->rounds > 0 && pthread_getspecific(k) == nullptr) {
            auto *again = static_cast<rounds_left *>(std::malloc(sizeof *left));
            expect(again != nullptr);
            *again = {left->rounds - 1, strdup(left->text)};
            expect(again->text != nullptr && std::strlen(again->text) == std::strlen(left->text));
            pthread_setspecific(k, again);
            break;
        }
    std::free(left->text);
    std::free(left);
}

// The C library keeps these texts for the thread and frees them when all destructors are done.
void leave_error_texts()
{
    expect(dlopen("/no such library", RTLD_NOW) == nullptr);
    expect(std::strlen(strerror(98765)) > 0);
}

void live(int number)
{
    for (int i = 0; i < 10; i++)
        in_thread.texts[number + i] = long_text(number + i);
    for (int i = 0; i < keys; i++)
        pthread_setspecific(key[i], new (std::malloc(sizeof(rounds_left)))
                                        rounds_left{3, strdup(long_text(number).c_str())});
    leave_error_texts();
}

} // namespace

int main(int argc, char **argv)
{
    unsigned threads = argument(argc, argv, 1, 4000);
    std::size_t start = resident_kib();
    limit_seconds(120);
    for (pthread_key_t &k : key)
        expect(pthread_key_create(&k, destroy_key_value) == 0);
    for (unsigned i = 0; i < threads; i += 4) {
        std::vector<std::thread> group;
        for (unsigned j = 0; j < 4; j++)
            group.emplace_back(live, static_cast<int>(i + j));
        for (std::thread &thread : group)
            thread.join();
    }
    live(7); // the main thread ends differently: through exit
    expect_heap_is_whole();
    expect_memory_settles(start, 8 << 10);
    return 0;
}
