# mingw-w64 with its threads; programs run under wine. Needs jansson and cmocka made with it, in LODE_ROOT.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc-posix)
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
set(CMAKE_CROSSCOMPILING_EMULATOR /usr/lib/wine/wine64)
set(ENV{PKG_CONFIG_LIBDIR} $ENV{LODE_ROOT}/lib/pkgconfig)
