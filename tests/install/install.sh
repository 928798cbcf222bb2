#!/bin/sh
# Installs into a temporary folder, then compiles a C and a C++ program against it with pkg-config and CMake.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
here=$(dirname "$0")
make --no-print-directory install BUILD="$dir/build" PREFIX="$dir/usr" >"$dir/log" 2>&1 || {
    tail -40 "$dir/log"
    exit 1
}
libdir=$(dirname "$(find "$dir/usr" -name lode.pc)")
export PKG_CONFIG_PATH="$libdir"
LD_LIBRARY_PATH=$(pkg-config --variable=libdir lode)
export LD_LIBRARY_PATH
# shellcheck disable=SC2046 # flags are a list of words
cc -std=c17 -Wall -Wextra -Werror "$here/consumer.c" $(pkg-config --cflags --libs lode) -o "$dir/c"
"$dir/c" | grep -q 'error 0 over 10000 values'
if command -v c++ >/dev/null; then
    cp "$here/consumer.c" "$dir/consumer.cpp"
    # shellcheck disable=SC2046
    c++ -std=c++20 -Wall -Wextra "$dir/consumer.cpp" $(pkg-config --cflags --libs lode) -o "$dir/cpp" 2>"$dir/cpp.log" || {
        cat "$dir/cpp.log"
        exit 1
    }
    "$dir/cpp" | grep -q 'error 0'
fi
mkdir "$dir/cm"
cat >"$dir/cm/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.20)
project(consumer C)
find_package(lode REQUIRED)
add_executable(consumer $(cd "$here" && pwd)/consumer.c)
target_link_libraries(consumer lode::lode)
END
cmake -S "$dir/cm" -B "$dir/cm/b" -DCMAKE_PREFIX_PATH="$dir/usr" >/dev/null
cmake --build "$dir/cm/b" >/dev/null
"$dir/cm/b/consumer" | grep -q 'error 0'
# What was installed works alone: command, man page, completion, breaking switched off.
"$dir/usr/bin/lode" --version >/dev/null
for page in lode lode-compare; do test -s "$dir/usr/share/man/man1/$page.1"; done
for file in bash-completion/completions/lode zsh/site-functions/_lode fish/vendor_completions.d/lode.fish; do
    test -s "$dir/usr/share/$file"
done
if [ -x /usr/bin/python3 ]; then # where Debian's Python looks below a prefix; the package finds the library by itself
    package=$dir/usr/lib/python$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')/dist-packages
    test -s "$package/lode-$(cat VERSION).dist-info/entry_points.txt"
    env -u LD_LIBRARY_PATH -u LODE_LIBRARY PYTHONPATH="$package" /usr/bin/python3 -c '
import lode, sys
assert lode._c._find().startswith(sys.argv[1]), lode._c._find()
print(lode.__version__)' "$(realpath "$dir")"
fi
size=$(find "$dir/usr" -name 'liblode.so.*.*' -type f -exec wc -c {} + | awk '{print $1; exit}')
test "$size" -lt 5000000
echo "installed library: $size bytes"
