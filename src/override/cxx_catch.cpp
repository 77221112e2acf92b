// SPDX-License-Identifier: MIT
#include "override/cxx_catch.h"

// The library needs no C++ runtime, but a program whose handler throws has brought one.
__asm__(".weak __gxx_personality_v0\n.weak __cxa_begin_catch\n.weak __cxa_end_catch");

bool cxx_call_catching(void (*handle)(void))
{
    try {
        handle();
        return true;
    } catch (...) {
        return false;
    }
}
