# SPDX-License-Identifier: MIT
# The packages that are linked into the library, as archives, so that at run time it needs libc alone.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(CK REQUIRED ck)
pkg_check_modules(URCU REQUIRED liburcu-cds)

function(tarn_find_archive variable name)
  find_library(${variable} NAMES ${name} HINTS ${ARGN} REQUIRED)
  mark_as_advanced(${variable})
endfunction()

tarn_find_archive(TARN_CK_ARCHIVE libck.a ${CK_LIBDIR} ${CK_LIBRARY_DIRS})
# Not one of the flavour libraries: their thread-local storage does not link into a shared object.
tarn_find_archive(TARN_URCU_ARCHIVE liburcu-common.a ${URCU_LIBDIR} ${URCU_LIBRARY_DIRS})

set(TARN_ARCHIVES ${TARN_CK_ARCHIVE} ${TARN_URCU_ARCHIVE})
set(TARN_PACKAGE_INCLUDES ${CK_INCLUDE_DIRS} ${URCU_INCLUDE_DIRS})

# Client requests are instructions in a header; nothing is linked.
find_path(TARN_VALGRIND_INCLUDE valgrind/memcheck.h)
mark_as_advanced(TARN_VALGRIND_INCLUDE)
