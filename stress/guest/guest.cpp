// SPDX-License-Identifier: MIT
// A shared object that is loaded and closed again and again: it allocates for others, and for a thread-local
// object that ends with its thread.
#include <cerrno>
#include <tarn/tarn.h>

namespace
{
struct keeper {
    void *kept = nullptr;
    ~keeper() { tarn_free(kept); }
};
thread_local keeper own;
} // namespace

extern "C" __attribute__((visibility("default"))) void *guest_make(size_t size);

void *guest_make(size_t size)
{
    if (own.kept == nullptr) {
        own.kept = tarn_malloc(size);
        errno = 0; // that one may have been refused; the caller looks at the other
    }
    return tarn_malloc(size);
}
