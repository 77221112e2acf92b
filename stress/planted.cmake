# SPDX-License-Identifier: MIT
# Planted faults: tarn-stress once more for each of them, with one source of the library replaced. An object that is
# linked before the archive keeps the archive's own from being taken.

find_program(Python3_EXECUTABLE python3 HINTS /usr/bin)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(plant "${CMAKE_CURRENT_SOURCE_DIR}/plant")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${plant}")

# tarn_add_planted(name file unit mode environment expected)
function(tarn_add_planted name file unit mode environment expected)
  set(copy "${CMAKE_CURRENT_BINARY_DIR}/planted/${name}")
  add_custom_command(OUTPUT "${copy}/${file}" COMMAND ${Python3_EXECUTABLE} "${plant}" ${name} "${copy}"
    DEPENDS "${plant}" "${PROJECT_SOURCE_DIR}/${file}" VERBATIM)
  set(source "${copy}/${unit}")
  if(NOT unit STREQUAL file)
    set(source "${PROJECT_SOURCE_DIR}/${unit}" "${copy}/${file}")
  endif()
  set(target stress_planted_${name})
  add_executable(${target} ${source} $<TARGET_OBJECTS:stress_objects>)
  target_include_directories(${target} BEFORE PRIVATE "${copy}/src")
  target_link_libraries(${target} PRIVATE tarn_codegen tarn_internal ${CMAKE_DL_LIBS})
  set_target_properties(${target} PROPERTIES ENABLE_EXPORTS ON)
  add_dependencies(${target} stress_guest)
  # Under env an abort is a status like any other.
  add_test(NAME stress.planted_${name}
    COMMAND ${CMAKE_COMMAND} -E env ${environment} $<TARGET_FILE:${target}> ${mode} --seconds 60)
  set_tests_properties(stress.planted_${name} PROPERTIES LABELS stress TIMEOUT 120 RUN_SERIAL TRUE
    ENVIRONMENT "TSAN_OPTIONS=halt_on_error=1" PASS_REGULAR_EXPRESSION "${expected}")
endfunction()

function(tarn_add_planted_for net expected)
  execute_process(COMMAND ${Python3_EXECUTABLE} "${plant}" --list ${net} OUTPUT_VARIABLE lines
    OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  string(REPLACE ";" " " lines "${lines}")
  string(REPLACE "\n" ";" lines "${lines}")
  foreach(line IN LISTS lines)
    separate_arguments(line)
    tarn_add_planted(${line} "${expected}")
  endforeach()
endfunction()

if(TARN_SANITIZE STREQUAL "thread")
  tarn_add_planted_for(tsan "ThreadSanitizer: data race")
elseif(NOT TARN_SANITIZE AND NOT TARN_VALIDATE AND NOT TARN_COVERAGE)
  tarn_add_planted_for(patterns "\ntarn-stress: |tarn: [a-z]")
endif()
