# SPDX-License-Identifier: MIT
# The libraries: tarn and tarn_static replace malloc, tarn_api and tarn_api_static only add tarn_* names,
# tarn_internal shows the internal functions to the tests.

configure_file(cmake/version.h.in include/tarn/version.h @ONLY)

add_library(tarn_headers INTERFACE)
target_include_directories(tarn_headers INTERFACE
  "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include;${PROJECT_BINARY_DIR}/include>"
  "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")

function(tarn_add_objects target)
  set(sources)
  foreach(folder IN LISTS ARGN)
    file(GLOB found CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/${folder}/*.c"
      "${PROJECT_SOURCE_DIR}/src/${folder}/*.cpp")
    list(APPEND sources ${found})
  endforeach()
  add_library(${target} OBJECT ${sources})
  target_link_libraries(${target} PRIVATE tarn_warnings tarn_sanitize tarn_codegen tarn_headers)
endfunction()

tarn_add_objects(tarn_core core buddy tcache)
set(api_objects "$<TARGET_OBJECTS:tarn_core>")
if(TARN_REPLACES_MALLOC)
  # Its references to the C++ runtime stay weak only in an object of its own: -flto would mix it with others.
  set_source_files_properties("${PROJECT_SOURCE_DIR}/src/override/cxx_catch.cpp" PROPERTIES COMPILE_OPTIONS -fno-lto)
  tarn_add_objects(tarn_override override)
  target_compile_options(tarn_override PRIVATE -fexceptions) # bad_alloc passes through operator new
  set(replacing_objects ${api_objects} "$<TARGET_OBJECTS:tarn_override>")
endif()

# Marked libraries: the public functions once more, on blocks between marks. AddressSanitizer's builds give the
# prefixed library marks; valgrind finds them in a library of its own.
function(tarn_add_marked variable) # the folders beside core/api.c
  tarn_add_objects(tarn_marked marked)
  tarn_add_objects(tarn_marked_entry ${ARGN})
  target_sources(tarn_marked_entry PRIVATE "${PROJECT_SOURCE_DIR}/src/core/api.c")
  target_compile_options(tarn_marked_entry PRIVATE -fexceptions
    "$<$<COMPILE_LANGUAGE:C>:SHELL:-include ${PROJECT_SOURCE_DIR}/src/marked/entry.h>")
  set(${variable} "$<FILTER:$<TARGET_OBJECTS:tarn_core>,EXCLUDE,/api\\.c\\.o$>"
    "$<TARGET_OBJECTS:tarn_marked>" "$<TARGET_OBJECTS:tarn_marked_entry>" PARENT_SCOPE)
endfunction()

set(unmarked_objects ${api_objects})
if(TARN_SANITIZE MATCHES "address")
  tarn_add_marked(api_objects)
endif()

function(tarn_set_product target name export_name)
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name} EXPORT_NAME ${export_name}
    LINKER_LANGUAGE C LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}"
    ARCHIVE_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}")
  target_link_libraries(${target} PUBLIC tarn_headers)
  add_library(tarn::${export_name} ALIAS ${target})
endfunction()

function(tarn_add_shared target name export_name)
  string(REPLACE "-valgrind" "" exporting "${name}") # which exports what libtarn does
  set(map "${PROJECT_SOURCE_DIR}/cmake/${exporting}.map")
  add_library(${target} SHARED ${ARGN})
  tarn_set_product(${target} ${name} ${export_name})
  set_target_properties(${target} PROPERTIES SOVERSION ${PROJECT_VERSION_MAJOR} LINK_DEPENDS "${map}")
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:tarn_sanitize> ${TARN_ARCHIVES} Threads::Threads)
  target_link_options(${target} PRIVATE
    "LINKER:--version-script=${map}" LINKER:--exclude-libs,ALL LINKER:-z,relro
    LINKER:-z,noseparate-code # one mapping for code and constants: a child of fork faults its pages in anew
    LINKER:--sort-section=name # tables behind the other variables, see core/bits.h
    LINKER:-z,nodelete) # threads' exit handlers point into the library
  if(NOT TARN_SANITIZE) # the sanitizer's runtime stands in the program, not here
    target_link_options(${target} PRIVATE LINKER:-z,defs)
  endif()
endfunction()

# An archive holds one object, with the needed parts of the packages inside and only the public names global:
# it links alone, also with -static, and clashes neither with libc's malloc.o nor with a program's own ck or urcu.
function(tarn_add_static target name export_name)
  set(object "${CMAKE_CURRENT_BINARY_DIR}/${name}.o")
  separate_arguments(flags NATIVE_COMMAND "${CMAKE_C_FLAGS}") # the linker compiles what -flto left for it
  add_custom_command(OUTPUT "${object}"
    COMMAND ${CMAKE_C_COMPILER} ${flags} -r -nostdlib -o "${object}" ${ARGN} ${TARN_ARCHIVES}
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden --wildcard --localize-symbol=ck_* --localize-symbol=*cds_*
            --localize-symbol=compat_futex_* "${object}"
    DEPENDS ${ARGN} COMMAND_EXPAND_LISTS VERBATIM COMMENT "Joining the objects of lib${name}.a")
  add_library(${target} STATIC "${object}")
  tarn_set_product(${target} ${name} ${export_name})
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:tarn_sanitize> PUBLIC Threads::Threads)
endfunction()

set(TARN_PRODUCTS tarn_api tarn_api_static)
tarn_add_shared(tarn_api tarn-api api ${api_objects})
tarn_add_static(tarn_api_static tarn-api api_static ${api_objects})
if(TARN_REPLACES_MALLOC)
  list(APPEND TARN_PRODUCTS tarn tarn_static)
  tarn_add_shared(tarn tarn tarn ${replacing_objects})
  tarn_add_static(tarn_static tarn tarn_static ${replacing_objects})
endif()
if(TARN_REPLACES_MALLOC AND TARN_VALGRIND_INCLUDE)
  tarn_add_marked(marked_objects override)
  target_include_directories(tarn_marked SYSTEM PRIVATE "${TARN_VALGRIND_INCLUDE}")
  tarn_add_shared(tarn_valgrind tarn-valgrind valgrind ${marked_objects})
  list(APPEND TARN_PRODUCTS tarn_valgrind)
endif()
add_custom_target(products DEPENDS ${TARN_PRODUCTS})

add_library(tarn_internal STATIC ${unmarked_objects})
set_target_properties(tarn_internal PROPERTIES LINKER_LANGUAGE C)
target_link_libraries(tarn_internal PUBLIC tarn_warnings tarn_sanitize tarn_headers ${TARN_ARCHIVES} Threads::Threads)
target_include_directories(tarn_internal PUBLIC "${PROJECT_SOURCE_DIR}/src")
target_include_directories(tarn_internal SYSTEM PUBLIC ${TARN_PACKAGE_INCLUDES})
target_compile_definitions(tarn_internal PUBLIC TARN_VALIDATE=$<BOOL:${TARN_VALIDATE}>)
