# SPDX-License-Identifier: MIT
# 64-bit ARM by Debian's cross compiler; tests run under qemu. scripts/cross-packages lays out TARN_CROSS_ROOT.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

set(TARN_CROSS_ROOT "${CMAKE_CURRENT_LIST_DIR}/../../build/packages-arm64")
get_filename_component(TARN_CROSS_ROOT "${TARN_CROSS_ROOT}" ABSOLUTE)
set(CMAKE_FIND_ROOT_PATH "${TARN_CROSS_ROOT}" /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(ENV{PKG_CONFIG_LIBDIR} "${TARN_CROSS_ROOT}/usr/lib/aarch64-linux-gnu/pkgconfig")
set(includes "-isystem ${TARN_CROSS_ROOT}/usr/include/aarch64-linux-gnu -isystem ${TARN_CROSS_ROOT}/usr/include")
set(CMAKE_C_FLAGS_INIT "${includes}")
set(CMAKE_CXX_FLAGS_INIT "${includes}")

# Each page of a reservation costs the emulator time, so the window is small.
set(emulator qemu-aarch64 -L /usr/aarch64-linux-gnu -E TARN_ARENA=8G)
set(CMAKE_CROSSCOMPILING_EMULATOR "${emulator}" CACHE STRING "What runs the tests")
