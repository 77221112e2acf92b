# SPDX-License-Identifier: MIT
# tarn_warnings: the warnings, for everything in this repository.
# tarn_sanitize: instrumentation, for everything that is linked with the library.
# tarn_codegen: what the library's own sources need.

add_library(tarn_warnings INTERFACE)
target_compile_options(tarn_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef -Wvla -Wpointer-arith -Wwrite-strings
  -Wformat=2 -Wimplicit-fallthrough -Wdouble-promotion
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes;-Wmissing-prototypes;-Wold-style-definition>)
if(TARN_WERROR)
  target_compile_options(tarn_warnings INTERFACE -Werror)
endif()

add_library(tarn_sanitize INTERFACE)
if(TARN_SANITIZE)
  set(sanitize_flags -fsanitize=${TARN_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_compile_options(tarn_sanitize INTERFACE ${sanitize_flags})
  target_link_options(tarn_sanitize INTERFACE ${sanitize_flags})
endif()
if(TARN_FUZZERS)
  # Inputs are sequences of calls: comparisons of numbers tell the fuzzer little, and tracing them takes half its time.
  target_compile_options(tarn_sanitize INTERFACE -fsanitize=fuzzer-no-link -fno-sanitize-coverage=trace-cmp)
endif()
if(TARN_COVERAGE)
  target_compile_options(tarn_sanitize INTERFACE --coverage -fprofile-update=atomic
    -Dalways_inline=unused # or each branch of the fast paths counts once for each place that calls them
    -fno-builtin-fork # gcc's own would forget what the handlers of a fork have run
    "$<$<COMPILE_LANGUAGE:C>:SHELL:-include \"${PROJECT_SOURCE_DIR}/tests/support/dump_counts.h\">")
  target_link_options(tarn_sanitize INTERFACE --coverage)
endif()

add_library(tarn_codegen INTERFACE)
# Without -fno-builtin-malloc gcc turns a calloc made of malloc and memset into a call of itself.
target_compile_options(tarn_codegen INTERFACE
  -fvisibility=hidden -ftls-model=initial-exec -fno-semantic-interposition
  -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free)
target_include_directories(tarn_codegen INTERFACE "${PROJECT_SOURCE_DIR}/src")
target_include_directories(tarn_codegen SYSTEM INTERFACE ${TARN_PACKAGE_INCLUDES})
target_compile_definitions(tarn_codegen INTERFACE TARN_VALIDATE=$<BOOL:${TARN_VALIDATE}>)
