#!/bin/sh
# Builds the Debian packages from a clean export of the tree, asks lintian about them, unpacks them into an empty root and
# uses them from there: the command, its manual and completions, a C program, CMake, Python. Status 77: not on Debian, or
# without `scripts/install-deps packages`. KEEP=FOLDER keeps the packages there.
set -eu
cd "$(dirname "$0")/../.."
tree=$(pwd)
for need in dpkg-buildpackage dh dh_python3 lintian; do
    command -v $need >/dev/null || { echo "skipped: no $need; scripts/install-deps packages"; exit 77; }
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
version=$(cat VERSION)
mkdir "$dir/lode-$version" "$dir/root"
git ls-files -z -c -o --exclude-standard | tar --null --files-from - -c | tar -x -C "$dir/lode-$version"
cd "$dir/lode-$version"
test "$(dpkg-parsechangelog -S Version)" = "$version-1"
DEB_BUILD_OPTIONS=${DEB_BUILD_OPTIONS:-parallel=$(nproc)} dpkg-buildpackage -us -uc -b >"$dir/log" 2>&1 || {
    tail -40 "$dir/log"
    exit 1
}
cd "$dir"
[ -z "${KEEP:-}" ] || cp ./*.deb "$KEEP"
ls -l ./*.deb
lintian --allow-root --profile debian --display-info --display-experimental --fail-on error,warning,info,experimental ./*.changes

set --
for p in lode liblode0 liblode-dev python3-lode; do
    set -- "$@" "$(find "$dir" -maxdepth 1 -name "${p}_*.deb")"
    dpkg-deb -x "$(find "$dir" -maxdepth 1 -name "${p}_*.deb")" "$dir/root"
done
apt-get -s -o Debug::NoLocking=1 install "$@" >"$dir/apt" 2>&1 || { # all that they depend on is to be had, together
    cat "$dir/apt"
    exit 1
}
grep -q '^Inst python3-lode' "$dir/apt"

# Used as it lies there: only the loader, pkg-config and Python are told where the root begins.
root=$dir/root
libdir=$(dirname "$(find "$root/usr/lib" -name 'liblode.so.0')")
use() { env -i HOME="$dir" PATH="$root/usr/bin:/usr/bin:/bin" LD_LIBRARY_PATH="$libdir" PYTHONDONTWRITEBYTECODE=1 "$@"; }
mkdir "$dir/here"
cd "$dir/here"
use lode compress "$tree/data/winds_u.npy" --error 1e-2 -o winds.lode
use lode verify winds.lode "$tree/data/winds_u.npy"
use lode --version
use lode --version | grep 'same bits for any number of threads: yes'
use LODE_BREAK=tucker-packing lode compress "$tree/data/winds_u.npy" --error 1e-2 -o again.lode --quiet
cmp winds.lode again.lode # nothing can be turned off
use lode info "$tree/data/winds_u.nc" # libnetcdf is found
if command -v man >/dev/null; then man "$root/usr/share/man/man1/lode-svd.1.gz" | grep -q 'singular value'; fi
use lode claims tt-quasi-optimal | grep -q holds

cp "$tree/tests/install/consumer.c" .
# pkg-config leaves out what the compiler knows, which is not below another root
export PKG_CONFIG_PATH="$libdir/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$root" PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 \
    PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
# shellcheck disable=SC2046 # flags are a list of words
cc -std=c17 -Wall -Wextra -Werror consumer.c $(pkg-config --cflags --libs lode) -o consumer
use ./consumer | grep 'error 0 over 10000 values'
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.20)
project(consumer C)
find_package(lode REQUIRED)
add_executable(consumer consumer.c)
target_link_libraries(consumer lode::lode)
END
cmake -S . -B b -DCMAKE_PREFIX_PATH="$root/usr" >/dev/null
cmake --build b >/dev/null
use b/consumer | grep 'error 0'
zcat -f "$root"/usr/share/doc/liblode-dev/examples/unlode.c* >unlode.c
cc -std=c99 -O1 unlode.c -lm -o unlode
./unlode winds.lode winds.npy
use lode compare winds.npy "$tree/data/winds_u.npy" --json --quiet | grep -q '"relative": 0.00'

use PYTHONPATH="$root/usr/lib/python3/dist-packages" /usr/bin/python3 - "$root" <<'END'
import sys
import numpy as np
import lode
assert lode.__file__.startswith(sys.argv[1]), lode.__file__
maps = open("/proc/self/maps").read()
assert f"{sys.argv[1]}/usr/lib" in maps and "liblode-blas.so" in maps
r = lode.svd(np.outer(np.arange(1.0, 5), np.arange(1.0, 4)), rank=1)
assert r.certificate.value < 1e-12
print(lode.__version__, r.certificate)
END
# Journeys that rely on what is installed beside the library: xarray's entry point, pkg-config, data read by name.
for journey in netcdf.sh c.sh rank.sh; do
    "$tree/tests/journeys/run" "$root/usr" "$tree/tests/journeys/$journey" >"$dir/said" 2>&1 || {
        test $? = 77 || { cat "$dir/said"; exit 1; }
        cat "$dir/said"
    }
done
echo 'the packages build, are clean and work'
