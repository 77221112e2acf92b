// SPDX-License-Identifier: MIT
// The operating system behind one contract: address space, clock, parking, files. Only os_*.c makes these
// calls. Any thread. Nothing here allocates or takes a lock; errno is left as it was found unless a function
// says so.
#ifndef TARN_CORE_OS_H
#define TARN_CORE_OS_H

#include "core/atomics.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Address space that is neither readable nor writable and costs no memory. `align` is a power of two. NULL if
// refused.
void *os_reserve(size_t size, size_t align);
// The same at an exact address; false if something lies there or the kernel refuses.
bool os_reserve_at(void *address, size_t size);
// A read-only mapping of zeros that does not count as committed memory. NULL if refused.
void *os_map_zeros(size_t size);
// Makes a reserved range readable and writable; false if the kernel refuses to promise the memory.
bool os_commit(void *address, size_t size);
// Gives the memory back and the promise with it: the range is as after os_reserve.
void os_decommit(void *address, size_t size);
// Gives a range of address space back.
void os_release(void *address, size_t size);
// Fresh, zeroed, writable memory for the library's own data. NULL if refused.
void *os_map(size_t size);
// Gives the memory of a committed range back; it reads as zeros afterwards. False if the kernel kept it.
bool os_purge(void *address, size_t size);
// Whether os_move works here: not before Linux 5.7, nor where a sandbox or an emulator knows no better. Looks
// once.
bool os_can_move(void);
// The memory of a committed range comes to lie in another one of the same size; what lay there goes back. The
// first range reads as zeros and holds no memory then. Where the kernel refuses, or the first range is more
// than one mapping, false: the first range is as it was, and what the other one held may be gone.
bool os_move(void *from, void *to, size_t size);
// As os_purge; what the range was advised is forgotten, and what moved into it parts no mappings any more.
bool os_renew(void *address, size_t size);
// Brings memory behind a range of whole pages of the kernel's that is about to be written to, in one call
// instead of a fault for each. A kernel that cannot ignores it.
void os_populate(void *address, size_t size);
// Whether a range is to have huge pages from its next faults on. A kernel without them ignores it.
void os_advise_huge(void *address, size_t size, bool huge);
// How many of the kernel's pages of a range hold memory; the range starts at one.
size_t os_resident_pages(const void *address, size_t size);

// Makes a range of committed memory inaccessible, whole pages of the kernel's, and gives its memory back. If
// the kernel refuses, false, and the range stays as it was.
bool os_forbid(void *address, size_t size);
// What was forbidden, or a part of it, can be used again, and reads as zeros. If the kernel refuses, false.
bool os_permit(void *address, size_t size);
// Whole pages of the library's own variables can only be read from now on.
void os_seal(void *address, size_t size);
// Unpredictable bytes, as good as the kernel has them without waiting.
void os_random(void *bytes, size_t size);

size_t os_page_size(void);
// The address-space limit in bytes (RLIMIT_AS), SIZE_MAX when there is none.
size_t os_address_space_limit(void);
// Milliseconds on a clock that never goes back; as coarse as the kernel's tick, and as cheap.
uint64_t os_now_ms(void);
// Memory of the machine, and memory with swap, in bytes.
size_t os_physical_bytes(void);
size_t os_memory_bytes(void);
unsigned os_cpu(void);
// Those that this process may use; one when the kernel does not say.
unsigned os_cpu_count(void);
// Resident memory of this process in bytes: as the kernel counts exactly, if it says (which takes as long as
// a walk over it all).
struct os_memory {
    uint64_t files; // of files and shared memory
    uint64_t anonymous;
    uint64_t huge; // in huge pages, part of the others
};
struct os_memory os_memory(void);
// For each page of the kernel's in a range, whose start is such a page's: bit 0 of a byte says whether it is
// resident. False, and all of them 0, where the kernel does not say.
bool os_presence(void *address, size_t size, unsigned char *pages);
// Resident memory of this process in bytes, and its faults since the start.
size_t os_resident_bytes(void);
void os_page_faults(uint64_t *minor, uint64_t *major);
// True in a program that runs with more rights than its caller (setuid): the environment is not to be
// trusted.
bool os_is_secure(void);
char **os_environment(void);

// A number that no two living threads share. clang 13 has the builtin by name only on x86-64.
static inline uintptr_t os_thread_pointer(void)
{
#if defined(__x86_64__)
    uintptr_t pointer;
    __asm__("mov %%fs:0, %0" : "=r"(pointer));
    return pointer;
#else
    return (uintptr_t)__builtin_thread_pointer();
#endif
}

// Sleeps while *word == expected; may return early.
void os_park(atomic_u32 *word, uint32_t expected);
// The same, at most so many milliseconds.
void os_park_for(atomic_u32 *word, uint32_t expected, uint64_t ms);
void os_unpark_one(atomic_u32 *word);
void os_unpark_all(atomic_u32 *word);
void os_yield(void);

// False when not all of it could be written.
bool os_write(int fd, const char *text, size_t length);
// -1 if refused.
int os_open_for_writing(const char *path);
// True where a plain file is, or nothing: not a device, a pipe or a link.
bool os_is_file_or_nothing(const char *path);
// The file takes the other's place at one moment; false if refused.
bool os_replace_file(const char *from, const char *to);
void os_remove_file(const char *path);
// -1 if refused.
int os_open_for_reading(const char *path);
// The next bytes of a file, as many as fit; 0 at its end.
size_t os_read(int fd, char *text, size_t size);
// The beginning of a file, terminated; returns its length, 0 when it cannot be read.
size_t os_read_file(const char *path, char *text, size_t size);
void os_close(int fd);
// A descriptor that becomes readable when it is signalled; below 0 an error number.
int os_event_new(void);
void os_event_signal(int fd);

// Fault injection: the n-th call from now (n >= 1) that may fail does fail, once; 0 disarms.
void os_fail_nth(uint32_t n);
// The n-th and those after it, `length` of them.
void os_fail_run(uint32_t n, uint32_t length);
// Calls that may fail, since the last os_fail_nth.
uint32_t os_fallible_calls(void);

#endif
