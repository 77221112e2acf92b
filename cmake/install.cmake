# SPDX-License-Identifier: MIT
# What `cmake --install` lays out: libraries, headers, pkg-config and CMake package files, documentation.

include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/tarn")

install(TARGETS ${TARN_PRODUCTS} tarn_headers EXPORT tarnTargets
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(EXPORT tarnTargets NAMESPACE tarn:: DESTINATION "${package_dir}")
set_target_properties(tarn_headers PROPERTIES EXPORT_NAME headers)

install(DIRECTORY include/tarn "${PROJECT_BINARY_DIR}/include/tarn" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")

configure_package_config_file(cmake/tarnConfig.cmake.in tarnConfig.cmake INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file(tarnConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/tarnConfig.cmake" "${PROJECT_BINARY_DIR}/tarnConfigVersion.cmake"
  DESTINATION "${package_dir}")

# The .pc files name every path from where they lie themselves, so that an installed tree can be moved.
set(pc_dir "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig")
file(RELATIVE_PATH PC_PREFIX "${pc_dir}" "${CMAKE_INSTALL_PREFIX}")
file(RELATIVE_PATH PC_INCLUDEDIR "${pc_dir}" "${CMAKE_INSTALL_FULL_INCLUDEDIR}")

function(tarn_install_pc name description)
  set(PC_NAME ${name})
  set(PC_DESCRIPTION "${description}")
  configure_file(cmake/tarn.pc.in ${name}.pc @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/${name}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endfunction()

tarn_install_pc(tarn-api "${PROJECT_DESCRIPTION}, beside the system's malloc")
if(TARN_REPLACES_MALLOC)
  tarn_install_pc(tarn "${PROJECT_DESCRIPTION}, in place of the system's malloc")
endif()

install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")
if(EXISTS "${PROJECT_SOURCE_DIR}/README.md")
  install(FILES README.md DESTINATION "${CMAKE_INSTALL_DOCDIR}")
endif()
if(EXISTS "${PROJECT_SOURCE_DIR}/docs")
  install(DIRECTORY docs/ DESTINATION "${CMAKE_INSTALL_DOCDIR}" FILES_MATCHING PATTERN "*.md")
endif()
if(EXISTS "${PROJECT_SOURCE_DIR}/docs/tarn.7")
  install(FILES docs/tarn.7 DESTINATION "${CMAKE_INSTALL_MANDIR}/man7")
endif()
