# What `cmake --install` and the .deb bring: the program, its catalogue, manual and completions, and the core as a
# CMake package (`find_package(kvroof)`, `kvroof::core`). Manual and completions are the program's own output.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS kvroof RUNTIME)
install(FILES models.yaml hardware.yaml DESTINATION ${CMAKE_INSTALL_DATADIR}/kvroof)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)
install(FILES README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

if(NOT CMAKE_CROSSCOMPILING)
  set(written ${PROJECT_BINARY_DIR}/share)
  file(MAKE_DIRECTORY ${written})
  # 1: file, 2: where it goes, rest: what the program is asked for.
  function(install_output file destination)
    add_custom_command(OUTPUT ${written}/${file} COMMAND kvroof ${ARGN} > ${written}/${file} DEPENDS kvroof VERBATIM)
    install(FILES ${written}/${file} DESTINATION ${destination})
    set_property(GLOBAL APPEND PROPERTY kvroof_written ${written}/${file})
  endfunction()
  install_output(kvroof.1 ${CMAKE_INSTALL_MANDIR}/man1 man)
  install_output(kvroof ${CMAKE_INSTALL_DATADIR}/bash-completion/completions completions bash)
  install_output(_kvroof ${CMAKE_INSTALL_DATADIR}/zsh/site-functions completions zsh)
  install_output(kvroof.fish ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d completions fish)
  get_property(files GLOBAL PROPERTY kvroof_written)
  add_custom_target(kvroof_written ALL DEPENDS ${files})
endif()

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/kvroof)
set_target_properties(kvroof_core PROPERTIES EXPORT_NAME core)
install(TARGETS kvroof_core EXPORT kvroof ARCHIVE FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/kvroof)
install(EXPORT kvroof FILE kvroofConfig.cmake NAMESPACE kvroof:: DESTINATION ${package})
write_basic_package_version_file(kvroofConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/kvroofConfigVersion.cmake DESTINATION ${package})

# What the last installation wrote goes again, and nothing else.
file(WRITE ${PROJECT_BINARY_DIR}/uninstall.cmake [[
file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/install_manifest.txt files)
foreach(file IN LISTS files)
  file(REMOVE $ENV{DESTDIR}${file})
endforeach()
]])
add_custom_target(uninstall COMMAND ${CMAKE_COMMAND} -P ${PROJECT_BINARY_DIR}/uninstall.cmake)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME kvroof)
set(CPACK_PACKAGE_CONTACT "the kvroof authors <kvroof@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
include(CPack)
