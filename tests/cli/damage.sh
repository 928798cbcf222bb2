# Damaged files: what is lost is named, the rest is given where that is asked for.
. tests/cli/lib.sh.inc
"$lode" make bumps --shape 20,40,50 -o "$dir/a.npy" --quiet
gives 0 '' "$lode" compress "$dir/a.npy" --block 4000 -o "$dir/a.lode"
size=$(wc -c <"$dir/a.lode")
# zeros over the middle of the data
cp "$dir/a.lode" "$dir/bad.lode"
dd if=/dev/zero of="$dir/bad.lode" bs=1 seek=$((size * 3 / 4)) count=8 conv=notrunc 2>/dev/null
gives 2 'block [0-9]* of 10, \[[0-9]*:[0-9]*,0:40,0:50\], is damaged.*--recover' "$lode" invert "$dir/bad.lode" -o "$dir/b.npy"
test ! -e "$dir/b.npy" || fail 'a damaged file gave an array'
gives 2 'block [0-9]* of 10' "$lode" convert "$dir/bad.lode" "$dir/b.npy"
gives 2 'block [0-9]* of 10' "$lode" verify "$dir/bad.lode"
gives 3 '1 damaged part, 10% of the whole, comes back as NaN: \[[0-9]*:[0-9]*,0:40,0:50\]' "$lode" invert "$dir/bad.lode" --recover -o "$dir/b.npy"
gives 3 '1 damaged part, 10% of the whole, comes back as NaN' "$lode" convert "$dir/bad.lode" "$dir/c.npy" --recover
cmp "$dir/b.npy" "$dir/c.npy" || fail 'invert and convert recover different values'
gives 0 '' "$lode" invert "$dir/bad.lode" --recover --part 0:2,:,: -o "$dir/part.npy"
# the tail is cut off
head -c $((size * 3 / 4)) "$dir/a.lode" >"$dir/cut.lode"
gives 2 'is damaged' "$lode" invert "$dir/cut.lode" -o "$dir/d.npy"
gives 3 'damaged parts' "$lode" invert "$dir/cut.lode" --recover -o "$dir/d.npy"
gives 2 'cut off' "$lode" info "$dir/cut.lode"
head -c $((size / 2)) "$dir/a.lode" >"$dir/half.lode"
gives 3 'back as NaN' "$lode" plot "$dir/half.lode" --recover -o "$dir/half.png"
gives 0 'block is damaged' "$lode" info "$dir/bad.lode"
head -c 60 "$dir/a.lode" >"$dir/short.lode"
gives 2 'more than it has: it is cut off' "$lode" info "$dir/short.lode"
# the header: one wrong bit is put right
cp "$dir/a.lode" "$dir/head.lode"
byte=$(dd if="$dir/a.lode" bs=1 skip=300 count=1 2>/dev/null | od -An -tu1 | tr -d ' ')
printf "\\$(printf %o $((byte ^ 2)))" | dd of="$dir/head.lode" bs=1 seek=300 conv=notrunc 2>/dev/null
gives 2 'header is damaged' "$lode" invert "$dir/head.lode" -o "$dir/e.npy"
gives 0 'one wrong bit of its header was put right' "$lode" invert "$dir/head.lode" --recover -o "$dir/e.npy"
gives 0 '' "$lode" invert "$dir/a.lode" -o "$dir/whole.npy"
cmp "$dir/e.npy" "$dir/whole.npy" || fail 'a mended header gave other values'
gives 2 'recover goes with' "$lode" update "$dir/bad.lode" "$dir/a.npy" --recover -o "$dir/f.lode"
