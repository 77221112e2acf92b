# SPDX-License-Identifier: MIT
# The musl C library by Debian's musl-gcc, for the libraries that leave malloc alone.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER musl-gcc)
set(TARN_REPLACE_MALLOC OFF CACHE BOOL "")

# Headers of the kernel and of the packages, which know no C library; musl's own come first.
set(CMAKE_C_FLAGS_INIT "-idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu")
