// SPDX-License-Identifier: MIT
// C++'s replaceable operators new and delete, under their mangled names (Itanium C++ ABI), so that the
// library needs no C++ runtime. When memory is short, the runtime that the program brings is asked for its
// handler and for bad_alloc.
#include "core/alloc.h"
#include "core/os.h"
#include "override/cxx_catch.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef void (*handler)(void);

// Looked up when memory has run out, not before: most programs that run on this library are not C++. dlsym is
// no part of any path that malloc takes.
static handler new_handler(void)
{
    handler (*get)(void);
    void *symbol = dlsym(RTLD_DEFAULT, "_ZSt15get_new_handlerv");
    memcpy(&get, &symbol, sizeof get);
    return symbol == NULL ? NULL : get();
}

static _Noreturn void throw_bad_alloc(void)
{
    static const char line[] = "tarn: operator new: out of memory, and no C++ runtime to throw bad_alloc\n";
    handler throw;
    void *symbol = dlsym(RTLD_DEFAULT, "_ZSt17__throw_bad_allocv");
    memcpy(&throw, &symbol, sizeof throw);
    if (symbol != NULL)
        throw();
    os_write(2, line, sizeof line - 1);
    abort();
}

// [new.delete.single]: call the handler until there is memory or no handler.
static __attribute__((noinline)) void *new_slow(size_t align, size_t size, bool nothrow)
{
    void *p = NULL;
    while (p == NULL) {
        handler handle = new_handler();
        if (handle == NULL && nothrow)
            return NULL;
        if (handle == NULL)
            throw_bad_alloc();
        if (!nothrow)
            handle();
        else if (!cxx_call_catching(handle))
            return NULL;
        p = alloc_aligned(align, size);
    }
    return p;
}

#define NEW(name)                                                                                            \
    EXPORT void *name(size_t size);                                                                          \
    EXPORT void *name(size_t size)                                                                           \
    {                                                                                                        \
        void *p = alloc_fast(size);                                                                          \
        return likely(p != NULL) ? p : new_slow(1, size, false);                                             \
    }
#define NEW_NOTHROW(name)                                                                                    \
    EXPORT void *name(size_t size, const void *tag);                                                         \
    EXPORT void *name(size_t size, const void *tag)                                                          \
    {                                                                                                        \
        (void)tag;                                                                                           \
        void *p = alloc_fast(size);                                                                          \
        return likely(p != NULL) ? p : new_slow(1, size, true);                                              \
    }
#define NEW_ALIGNED(name)                                                                                    \
    EXPORT void *name(size_t size, size_t align);                                                            \
    EXPORT void *name(size_t size, size_t align)                                                             \
    {                                                                                                        \
        void *p = alloc_aligned(align, size);                                                                \
        return likely(p != NULL) ? p : new_slow(align, size, false);                                         \
    }
#define NEW_ALIGNED_NOTHROW(name)                                                                            \
    EXPORT void *name(size_t size, size_t align, const void *tag);                                           \
    EXPORT void *name(size_t size, size_t align, const void *tag)                                            \
    {                                                                                                        \
        (void)tag;                                                                                           \
        void *p = alloc_aligned(align, size);                                                                \
        return likely(p != NULL) ? p : new_slow(align, size, true);                                          \
    }

NEW(_Znwm)
NEW(_Znam)
NEW_NOTHROW(_ZnwmRKSt9nothrow_t)
NEW_NOTHROW(_ZnamRKSt9nothrow_t)
NEW_ALIGNED(_ZnwmSt11align_val_t)
NEW_ALIGNED(_ZnamSt11align_val_t)
NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t)
NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t)

#define DELETE(name)                                                                                         \
    EXPORT void name(void *p);                                                                               \
    EXPORT void name(void *p) { alloc_free_fast(p); }
#define DELETE_SIZED(name)                                                                                   \
    EXPORT void name(void *p, size_t size);                                                                  \
    EXPORT void name(void *p, size_t size) { alloc_free_sized(p, size); }
#define DELETE_ALIGNED(name)                                                                                 \
    EXPORT void name(void *p, size_t align);                                                                 \
    EXPORT void name(void *p, size_t align) { (void)align, alloc_free_fast(p); }
#define DELETE_SIZED_ALIGNED(name)                                                                           \
    EXPORT void name(void *p, size_t size, size_t align);                                                    \
    EXPORT void name(void *p, size_t size, size_t align) { alloc_free_aligned_sized(p, align, size); }
#define DELETE_NOTHROW(name)                                                                                 \
    EXPORT void name(void *p, const void *tag);                                                              \
    EXPORT void name(void *p, const void *tag) { (void)tag, alloc_free_fast(p); }
#define DELETE_ALIGNED_NOTHROW(name)                                                                         \
    EXPORT void name(void *p, size_t align, const void *tag);                                                \
    EXPORT void name(void *p, size_t align, const void *tag) { (void)align, (void)tag, alloc_free_fast(p); }

DELETE(_ZdlPv)
DELETE(_ZdaPv)
DELETE_SIZED(_ZdlPvm)
DELETE_SIZED(_ZdaPvm)
DELETE_ALIGNED(_ZdlPvSt11align_val_t)
DELETE_ALIGNED(_ZdaPvSt11align_val_t)
DELETE_SIZED_ALIGNED(_ZdlPvmSt11align_val_t)
DELETE_SIZED_ALIGNED(_ZdaPvmSt11align_val_t)
DELETE_NOTHROW(_ZdlPvRKSt9nothrow_t)
DELETE_NOTHROW(_ZdaPvRKSt9nothrow_t)
DELETE_ALIGNED_NOTHROW(_ZdlPvSt11align_val_tRKSt9nothrow_t)
DELETE_ALIGNED_NOTHROW(_ZdaPvSt11align_val_tRKSt9nothrow_t)
