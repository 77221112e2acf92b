// SPDX-License-Identifier: MIT
// What of core/os.h schedules depend on, instead of the kernel's: the linker leads the library's calls here.
#include "explore.h"

#include "core/os.h"

void __real_os_park(atomic_u32 *word, uint32_t expected);
void __real_os_park_for(atomic_u32 *word, uint32_t expected, uint64_t ms);
void __real_os_unpark_one(atomic_u32 *word);
void __real_os_unpark_all(atomic_u32 *word);
void __real_os_yield(void);
bool __real_os_purge(void *address, size_t size);

void __wrap_os_park(atomic_u32 *word, uint32_t expected);
void __wrap_os_park_for(atomic_u32 *word, uint32_t expected, uint64_t ms);
void __wrap_os_unpark_one(atomic_u32 *word);
void __wrap_os_unpark_all(atomic_u32 *word);
void __wrap_os_yield(void);
bool __wrap_os_purge(void *address, size_t size);
uint64_t __wrap_os_now_ms(void);
unsigned __wrap_os_cpu(void);
size_t __wrap_os_page_size(void);
size_t __real_os_page_size(void);
unsigned __wrap_os_cpu_count(void);

static void park(atomic_u32 *word, uint32_t expected, uint64_t ms)
{
    if (load_relaxed(word) == expected)
        explore_park(word, ms);
}

void __wrap_os_park(atomic_u32 *word, uint32_t expected)
{
    if (explore_runs())
        park(word, expected, UINT64_MAX);
    else
        __real_os_park(word, expected);
}

void __wrap_os_park_for(atomic_u32 *word, uint32_t expected, uint64_t ms)
{
    if (explore_runs())
        park(word, expected, ms);
    else
        __real_os_park_for(word, expected, ms);
}

void __wrap_os_unpark_one(atomic_u32 *word)
{
    explore_unpark(word, 1);
    if (!explore_runs())
        __real_os_unpark_one(word);
}

void __wrap_os_unpark_all(atomic_u32 *word)
{
    explore_unpark(word, EXPLORE_THREADS_MAX);
    if (!explore_runs())
        __real_os_unpark_all(word);
}

void __wrap_os_yield(void)
{
    if (explore_runs())
        explore_yield();
    else
        __real_os_yield();
}

// Others can go on while the kernel is at work.
bool __wrap_os_purge(void *address, size_t size)
{
    explore_check(((uintptr_t)address | size) % __wrap_os_page_size() ==
                  0); // the kernel would round outwards
    explore_step(__FILE__, __LINE__);
    bool purged = __real_os_purge(address, size);
    explore_step(__FILE__, __LINE__);
    return purged;
}

size_t explore_page_size;

size_t __wrap_os_page_size(void)
{
    return explore_page_size != 0 ? explore_page_size : __real_os_page_size();
}
uint64_t __wrap_os_now_ms(void) { return explore_now_ms(); }
unsigned __wrap_os_cpu(void) { return 0; }
unsigned __wrap_os_cpu_count(void) { return 1; }
