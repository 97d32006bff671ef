# SPDX-License-Identifier: Apache-2.0
# Installs headers, both libraries, a pkg-config file and a CMake package. The static library has an export file of its
# own, because only its users need the libraries that clef is built on.
include(CMakePackageConfigHelpers)

install(DIRECTORY include/clef TYPE INCLUDE FILES_MATCHING PATTERN *.h PATTERN *.def)
install(TARGETS clef EXPORT clefTargets)
install(TARGETS clef_static EXPORT clefStaticTargets)
install(FILES examples/data/digits.csv.gz examples/data/README.md DESTINATION ${CMAKE_INSTALL_DATADIR}/clef)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/clef)
install(EXPORT clefTargets NAMESPACE clef:: DESTINATION ${package})
install(EXPORT clefStaticTargets NAMESPACE clef:: DESTINATION ${package})
configure_package_config_file(cmake/clefConfig.cmake.in clefConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(clefConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/clefConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/clefConfigVersion.cmake
	DESTINATION ${package})

# The .pc file is written when clef is installed, because only then the prefix is known: `cmake --install --prefix`.
# Its folders are relative to the prefix, unless absolute ones were chosen.
foreach(dir LIBDIR INCLUDEDIR)
	cmake_path(APPEND CLEF_PC_${dir} "\${prefix}" ${CMAKE_INSTALL_${dir}})
endforeach()
set(CLEF_PC_PREFIX "@CMAKE_INSTALL_PREFIX@")
configure_file(clef.pc.in clef.pc.in @ONLY)
install(CODE "configure_file(\"${CMAKE_CURRENT_BINARY_DIR}/clef.pc.in\" \"${CMAKE_CURRENT_BINARY_DIR}/clef.pc\" @ONLY)")
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/clef.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
