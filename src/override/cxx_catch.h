// SPDX-License-Identifier: MIT
// The one thing that C cannot do for operator new: call a handler that may throw, and catch what it throws.
// Any thread.
#ifndef TARN_OVERRIDE_CXX_CATCH_H
#define TARN_OVERRIDE_CXX_CATCH_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

// False when the handler threw.
__attribute__((visibility("hidden"))) bool cxx_call_catching(void (*handle)(void));

#ifdef __cplusplus
}
#endif

#endif
