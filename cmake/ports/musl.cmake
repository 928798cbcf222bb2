# Debian's musl and its compiler wrapper; what it builds runs here. Needs jansson and cmocka made with it, in LODE_ROOT.
set(CMAKE_C_COMPILER musl-gcc)
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
set(ENV{PKG_CONFIG_LIBDIR} $ENV{LODE_ROOT}/lib/pkgconfig)
