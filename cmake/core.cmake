# The core build: what reads and writes npy, safetensors, raw values and .lode, for systems without a BLAS. Every
# operation is there, on plain C that is many times slower in linear algebra. Needs jansson, and cmocka for the tests.
set(LODE_KIND STATIC) # one command in one file
set(LODE_BLAS_FILES)
set(LODE_IO_LINK)
set(LODE_HDF5 OFF)
set(LODE_NETCDF OFF)
add_compile_definitions(LODE_CORE)
# Sources that it lacks.
file(GLOB others RELATIVE ${CMAKE_SOURCE_DIR}/src/io ${CMAKE_SOURCE_DIR}/src/io/*.c)
list(REMOVE_ITEM others attributes.c attrvalue.c dense.c describe.c dir.c emit.c file.c format.c hash.c lines.c lode.c
  frame.c member.c npy.c pack.c plain.c raw.c reversed.c safetensors.c slice.c sparse.c spec.c spill.c stack.c
  undescribe.c unpack.c write.c)
list(JOIN others "|" others)
set(LODE_LEFT_OUT "/src/(linalg/(blas|lapack|openblas)\\.c|io/(${others})|cli/(bench.*|claims|peers|process)\\.c)$")
# The tests of what it lacks, and of linear algebra those that hold Jacobi's rotations to the rounding of LAPACK.
set(LODE_TESTS_LEFT_OUT "/test_(corpus|csv|gguf|frame|hdf5|images|mat|mat73|netcdf|npz|pictures|tables|tns|figure|raster|svg|colormap|font|ticks")
string(APPEND LODE_TESTS_LEFT_OUT "|openblas|svd|svds|sthosvd)\\.c$")
string(APPEND LODE_TESTS_LEFT_OUT "|/fuzz_(cfl|csv|fits|frame|gguf|h5|mat|mat73|mtx|netcdf|nifti|npz|png|pnm|tns)\\.c$")
string(APPEND LODE_TESTS_LEFT_OUT "|/(bench|damage|files)\\.sh$")
if(WIN32) # written for POSIX
  string(APPEND LODE_TESTS_LEFT_OUT "|/test_(context|files|memory|os|threads|full|contexts)\\.c$|/fuzz_unlode\\.c$|\\.sh$")
endif()
