# HDF5, NetCDF and MATLAB 7.3 files there and back: what h5dump and ncdump show is the same, with -p and -s too.
. tests/cli/lib.sh.inc
command -v ncdump >/dev/null && command -v h5dump >/dev/null && /usr/bin/python3 -c 'import h5py, netCDF4' 2>/dev/null || {
    echo 'skipped: this machine lacks ncdump, h5dump, h5py or netCDF4'
    exit 0
}
check="/usr/bin/python3 -W ignore tests/cli/frame.py"
mkdir "$dir/in"
$check make "$dir/in"
for f in types.h5 storage.h5 new.h5 one.h5 classic.nc offset64.nc cdf5.nc four.nc four_classic.nc lone.nc seven.mat; do
    "$lode" info "$dir/in/$f" >/dev/null 2>&1 || {
        echo "skipped: this build does not read $f"
        continue
    }
    to="$dir/to.${f#*.}"
    gives 0 written "$lode" convert "$dir/in/$f" "$to" --force
    $check same "$dir/in/$f" "$to" || fail "a copy of $f is another"
    case $f in one.h5 | offset64.nc | cdf5.nc | four_classic.nc) continue ;; esac
    gives 0 '' "$lode" compress "$dir/in/$f" --error '*=exact' -o "$dir/x.lode" --force
    gives 0 written "$lode" convert "$dir/x.lode" "$to" --force
    $check same "$dir/in/$f" "$to" || fail "$f did not come back"
    gives 0 'results hold' "$lode" verify "$dir/x.lode" "$dir/in/$f"
    case $f in types.h5 | new.h5 | lone.nc) continue ;; esac
    gives 0 '' "$lode" compress "$dir/in/$f" --error '*=0.3:max' -o "$dir/x.lode" --force
    gives 0 written "$lode" convert "$dir/x.lode" "$to" --force
    $check near "$dir/in/$f" "$to" 0.3 || fail "$f came back otherwise"
done
cd_in="$dir/in/storage.h5"
"$lode" info "$cd_in" >/dev/null 2>&1 || exit 0
# what is said on the way
gives 0 'two_codes has several stored numbers' "$lode" compress "$cd_in" --error '*=0.001:max' -o "$dir/s.lode"
grep -q 'packed: the file keeps it in steps of 0.01, coarser than the error 0.001' "$dir/.out" || fail 'a coarse packing is not told'
gives 0 written "$lode" convert "$dir/s.lode" "$dir/s.h5"
h5diff "$cd_in" "$dir/s.h5" /packed /packed || fail 'steps coarser than the error did not bring values back'
gives 0 'vlen holds lists' "$lode" compress "$dir/in/types.h5" --error '*=1e-3' -o "$dir/t.lode"
grep -q 'hard is another name' "$dir/.out" || fail 'a link is not told'
gives 0 '__frame .* exact' "$lode" info "$dir/t.lode"
# NetCDF variables of types that are no numbers, beside a lone array
gives 0 'rec *not read: rec holds records of several fields' "$lode" info "$dir/in/lone.nc"
gives 2 'bytes holds opaque bytes' "$lode" convert "$dir/in/lone.nc:bytes" "$dir/no.npy"
gives 2 'lists holds lists of varying length' "$lode" convert "$dir/in/lone.nc:lists" "$dir/no.npy"
gives 2 'words holds text' "$lode" convert "$dir/in/lone.nc:words" "$dir/no.npy"
gives 0 written "$lode" convert "$dir/in/lone.nc:T" "$dir/T.npy"
gives 0 'left out: rec holds records' "$lode" convert "$dir/in/lone.nc" "$dir/lone.npz"
# into another format: all arrays, and a sentence on the rest
gives 0 'the hdf5 file held stay behind' "$lode" convert "$dir/t.lode" "$dir/t.npz"
gives 0 'a/b/c/plain' "$lode" info "$dir/t.npz"
! grep -q __frame "$dir/.out" || fail 'the frame is no array of another format'
# a variable by itself
for v in T packed nan_fill two_codes unsigned flag record scalar ocean/deep/S of_u8 classic.nc:packed classic.nc:T \
    h5:packed h5:two_codes h5:half h5:part h5:big_i; do
    case $v in h5:*) f=storage.h5 ;; classic*) f=classic.nc ;; *) f=four.nc ;; esac
    v=${v#*:}
    gives 0 '' "$lode" compress "$dir/in/$f:$v" --error 1e-3 -o "$dir/v.lode" --force
    gives 0 written "$lode" convert "$dir/v.lode" "$dir/v.${f#*.}" --force
    $check alone "$dir/in/$f" "$dir/v.${f#*.}" "$v" || fail "$v of $f alone came back otherwise"
done
gives 0 '' "$lode" compress "$dir/in/four.nc:packed" --error 1e-3 -o "$dir/v.lode" --force
gives 0 'packed: in steps of 0.01' "$lode" convert "$dir/v.lode" "$dir/v.nc" --force
# a damaged frame
/usr/bin/python3 tests/cli/whole.py tamper "$dir/t.lode" __frame.coded.0
gives 2 '__frame.*damaged' "$lode" verify "$dir/t.lode"
gives 2 'damaged' "$lode" convert "$dir/t.lode" "$dir/no.h5"
test ! -e "$dir/no.h5" || fail 'a damaged frame gave a file'
gives 3 'written anew' "$lode" convert "$dir/t.lode" "$dir/anew.h5" --recover
gives 0 'a/b/c/plain' "$lode" info "$dir/anew.h5"
