# Whole files: every variable by its own rule, all else as it was, and the file back.
. tests/cli/lib.sh.inc
command -v ncdump >/dev/null && command -v h5dump >/dev/null && /usr/bin/python3 -c 'import h5py, netCDF4' 2>/dev/null || {
    echo 'skipped: this machine lacks ncdump, h5dump, h5py or netCDF4'
    exit 0
}
check="/usr/bin/python3 tests/cli/whole.py"
$check make "$dir"
"$lode" info "$dir/m4.nc" >/dev/null 2>&1 || {
    echo 'skipped: this build reads no NetCDF'
    exit 0
}
for m in m4 m3; do
    rules='T=1e-3:rel,P=0.05:max,U=1e-4:rel'
    gives 0 'T .* 12 x 24 x 36 .* f32 .* 0.001:rel' "$lode" compress "$dir/$m.nc" --error 'T=1e-3,P=0.05:max,*=1e-4' -o "$dir/$m.lode"
    gives 0 'all . results hold; members kept as they were: .' "$lode" verify "$dir/$m.lode" "$dir/$m.nc"
    gives 0 'all . results hold' "$lode" verify "$dir/$m.lode"
    gives 0 written "$lode" convert "$dir/$m.lode" "$dir/$m.back.nc"
    case $m in m4) all="$rules,ocean/S=1e-4:rel" ;; *) all=$rules ;; esac
    [ $m = m4 ] || gives 0 written "$lode" convert "$dir/$m.lode" "$dir/$m.back.cdf"
    $check netcdf "$dir/$m.nc" "$dir/$m.back.nc" "$all" || fail "$m.nc came back otherwise"
done
# named variables only: the rest has every bit; integers with a fill value keep it
gives 0 'quality .* 0.02:rel' "$lode" compress "$dir/m4.nc" --error 'quality=0.02,near=0.02,U=exact' -o "$dir/q.lode"
gives 0 written "$lode" convert "$dir/q.lode" "$dir/q.nc"
$check netcdf "$dir/m4.nc" "$dir/q.nc" 'quality=0.02:rel' || fail 'a named integer variable'
# one variable of it is an input like any other
gives 0 '+- .*the mean is off by no more' "$lode" query "$dir/m4.lode:T" 'mean[0:3]'
gives 0 'relative ' "$lode" compare "$dir/m4.nc:T" "$dir/m4.lode:T"
gives 0 'holds' "$lode" verify "$dir/m4.lode:ocean/S" "$dir/m4.nc:ocean/S"
gives 0 written "$lode" plot "$dir/m4.lode:T" -o "$dir/t.svg"
gives 0 'asked for .*--error 0.001:rel' "$lode" info "$dir/m4.lode:T"
gives 0 'the same' "$lode" rerun "$dir/m4.lode:T" "$dir/m4.nc:T"
gives 2 'one again at a time' "$lode" rerun "$dir/m4.lode" "$dir/m4.nc"
gives 0 written "$lode" convert "$dir/m4.lode:T[2:5,::2]" "$dir/part.nc"
ncdump -h "$dir/part.nc" | grep -q 'lat = 12' || fail 'a part lost its dimensions'
ncdump -h "$dir/part.nc" | grep -q 'T:units = "K"' || fail 'a part lost its attributes'
gives 0 written "$lode" convert "$dir/m4.lode:P" "$dir/p.nc"
ncdump -h "$dir/p.nc" | grep -q 'short P' || fail 'a packed variable alone lost its stored form'
gives 0 written "$lode" convert "$dir/m4.lode:T" "$dir/t.npy"
gives 0 '12 x 24 x 36 f32' "$lode" info "$dir/t.npy"
gives 0 'ocean/S .*0.0001:rel' "$lode" info "$dir/m4.lode"
"$lode" info "$dir/m4.lode" --json | /usr/bin/python3 -c 'import json, sys
m = {x["name"]: x for x in json.load(sys.stdin)["members"]}
assert m["T"]["ratio"] > 5 and m["T"]["certificate"]["value"] <= 1e-3 and m["lat"]["rule"] == "as it is"' || fail 'info --json'
gives 0 'members to an error' "$lode" plan compress "$dir/m4.nc" --error 1e-3
# a single variable keeps its names, units and coordinates
gives 0 written "$lode" compress "$dir/m4.nc:T" --error 1e-3 -o "$dir/one.lode"
gives 0 written "$lode" convert "$dir/one.lode" "$dir/one.nc"
ncdump "$dir/one.nc" | grep -q 'T:units = "K"' || fail 'a single variable lost its units'
ncdump "$dir/one.nc" | grep -q 'time:units = "days since' || fail 'a single variable lost its coordinates'
ncdump -h "$dir/one.nc" | grep -q 'time = UNLIMITED' || fail 'a single variable lost its dimensions'
gives 0 '' "$lode" compress "$dir/m4.nc:T" --budget 6000 -o "$dir/small.lode"
test "$(wc -c <"$dir/small.lode")" -le 6000 || fail 'names and units were not counted against the budget'
# other formats
gives 0 written "$lode" compress "$dir/m.h5" --error 1e-3 -o "$dir/h.lode"
gives 0 written "$lode" convert "$dir/h.lode" "$dir/back.h5"
gives 0 written "$lode" convert "$dir/m.h5" "$dir/copy.h5"
$check hdf5 "$dir/m.h5" "$dir/back.h5" 'g/T=1e-3:rel,g/z=1e-3:rel' || fail 'm.h5 came back otherwise'
$check headers "$dir/copy.h5" "$dir/back.h5" || fail 'h5dump shows other attributes than of a plain copy'
gives 0 written "$lode" compress "$dir/m.npz" --error 'a=1e-3:max,*=1e-2' -o "$dir/n.lode"
gives 0 written "$lode" convert "$dir/n.lode" "$dir/back.npz"
$check npz "$dir/m.npz" "$dir/back.npz" 'a=1e-3:max,c=1e-2:rel' || fail 'm.npz came back otherwise'
# the same bits for any memory and threads
gives 0 '' "$lode" compress "$dir/m4.nc" --error 'T=1e-3,P=0.05:max,*=1e-4' --threads 1 --memory 40M -o "$dir/again.lode"
cmp "$dir/m4.lode" "$dir/again.lode" || fail 'memory or threads changed the file'
# what is wrong
gives 2 'rule TT=.. names no member of the file; did you mean T?' "$lode" compress "$dir/m4.nc" --error TT=1e-3 -o "$dir/x.lode"
gives 2 'names T twice' "$lode" compress "$dir/m4.nc" --error T=1,T=2 -o "$dir/x.lode"
gives 2 "rule for T: .*'1e-3:foo'" "$lode" compress "$dir/m4.nc" --error T=1e-3:foo -o "$dir/x.lode"
gives 2 'name is a text; only arrays' "$lode" compress "$dir/m.h5" --error name=1e-3 -o "$dir/x.lode"
gives 2 'is a whole file, whose results go into one .lode file' "$lode" compress "$dir/m4.nc" -o "$dir/x.npz"
gives 2 'the input is one array' "$lode" compress "$dir/m4.nc:T" --error T=1e-3 -o "$dir/x.lode"
gives 2 'is a size for one array' "$lode" compress "$dir/m4.nc" --budget 10K -o "$dir/x.lode"
gives 2 'several results; name one' "$lode" query "$dir/m4.lode" mean
gives 2 'has no member TT; did you mean T?' "$lode" query "$dir/m4.lode:TT" mean
gives 2 'no result of an operation' "$lode" query "$dir/m4.nc:T" mean
test ! -e "$dir/x.lode" || fail 'a refused job left a file'
# damage takes one variable, and says which
cp "$dir/m4.lode" "$dir/bad.lode"
$check tamper "$dir/bad.lode" P.coded.0
gives 2 'P: compress: .*damaged' "$lode" verify "$dir/bad.lode"
gives 2 'verify: 1 of .* members failed' "$lode" verify "$dir/bad.lode" "$dir/m4.nc"
gives 2 'P: compress: .*damaged' "$lode" convert "$dir/bad.lode" "$dir/bad.nc"
test ! -e "$dir/bad.nc" || fail 'a damaged file gave a copy'
gives 3 'comes back as NaN: P \[0:12,0:24,0:36\]' "$lode" convert "$dir/bad.lode" "$dir/bad.nc" --recover
gives 0 '' "$lode" convert "$dir/bad.lode:T" "$dir/t2.npy"
cmp "$dir/t.npy" "$dir/t2.npy" || fail 'another variable was hurt'
cp "$dir/m4.lode" "$dir/bad.lode"
$check tamper "$dir/bad.lode" area
gives 2 'member area, chunk 0 is damaged' "$lode" verify "$dir/bad.lode"
