# BLAS and LAPACK for Lode: sets LODE_BLAS_FILES, what to link. By default Debian's one-thread OpenBLAS, made into a
# library of Lode's own from its archive:
# - its allocator of work buffers has no lock, so that calls from two threads at once may compute wrong numbers; the
#   linker puts a guard before it (openblas_guard.c);
# - under its own name it cannot be mistaken for a threaded OpenBLAS that the process has loaded (Python with NumPy
#   does), whose products have other bits.
# Without the archive, the shared one-thread OpenBLAS, guarded as src/linalg/openblas.c tells; without that, any BLAS.
set(LODE_BLAS_PRIVATE AUTO CACHE STRING "A private, guarded copy of the one-thread OpenBLAS: AUTO, ON or OFF")
set_property(CACHE LODE_BLAS_PRIVATE PROPERTY STRINGS AUTO ON OFF)
set(place /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-serial)
if(LODE_BLAS STREQUAL "reference") # Debian's libblas-dev and liblapack-dev: Netlib's own, CBLAS included
  set(netlib /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE})
  find_library(LODE_NETLIB_BLAS NAMES blas NO_DEFAULT_PATH PATHS ${netlib}/blas REQUIRED)
  find_library(LODE_NETLIB_LAPACK NAMES lapack NO_DEFAULT_PATH PATHS ${netlib}/lapack REQUIRED)
  set(LODE_BLAS_FILES ${LODE_NETLIB_LAPACK} ${LODE_NETLIB_BLAS})
elseif(LODE_BLAS)
  set(LODE_BLAS_FILES ${LODE_BLAS})
else()
  find_library(LODE_OPENBLAS_SERIAL NAMES openblas NO_DEFAULT_PATH PATHS ${place})
  find_library(LODE_OPENBLAS_ARCHIVE NAMES libopenblas.a NO_DEFAULT_PATH PATHS ${place})
  find_library(LODE_GFORTRAN NAMES libgfortran.so.5 libgfortran.so)
  if(LODE_OPENBLAS_ARCHIVE AND LODE_GFORTRAN AND NOT LODE_BLAS_PRIVATE STREQUAL "OFF")
    add_library(lode_blas SHARED cmake/openblas_guard.c)
    target_link_libraries(lode_blas PRIVATE -Wl,--whole-archive ${LODE_OPENBLAS_ARCHIVE} -Wl,--no-whole-archive
      ${LODE_GFORTRAN} m)
    target_link_options(lode_blas PRIVATE -Wl,--wrap=blas_memory_alloc -Wl,--wrap=blas_memory_free
      -Wl,-Bsymbolic -Wl,--version-script=${CMAKE_SOURCE_DIR}/cmake/openblas_guard.map)
    set_target_properties(lode_blas PROPERTIES OUTPUT_NAME lode-blas VERSION ${LODE_VERSION} SOVERSION 0
      LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR} LINK_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/openblas_guard.map)
    install(TARGETS lode_blas EXPORT lodeTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
    set(LODE_BLAS_FILES lode_blas)
    add_compile_definitions(LODE_BLAS_GUARDED) # src/linalg/openblas.c has nothing to do then
    set(CMAKE_INSTALL_RPATH $ORIGIN/../${CMAKE_INSTALL_LIBDIR} $ORIGIN)
    return()
  endif()
  if(LODE_BLAS_PRIVATE STREQUAL "ON")
    message(FATAL_ERROR "No OpenBLAS archive at ${place}, or no libgfortran: install libopenblas-serial-dev, or use "
      "-DLODE_BLAS_PRIVATE=OFF")
  endif()
  if(LODE_OPENBLAS_SERIAL)
    set(LODE_BLAS_FILES ${LODE_OPENBLAS_SERIAL})
  else()
    find_package(BLAS REQUIRED)
    find_package(LAPACK REQUIRED)
    set(LODE_BLAS_FILES ${LAPACK_LIBRARIES} ${BLAS_LIBRARIES})
  endif()
endif()
set(places)
foreach(file IN LISTS LODE_BLAS_FILES)
  get_filename_component(file "${file}" DIRECTORY)
  list(APPEND places ${file})
endforeach()
set(CMAKE_BUILD_RPATH ${places})
set(CMAKE_INSTALL_RPATH ${places} $ORIGIN/../${CMAKE_INSTALL_LIBDIR})
