# Help, suggestions, wrong words: one clear sentence and status 2.
. tests/cli/lib.sh.inc
gives 0 'Shrink arrays' "$lode"
gives 0 'Shrink arrays' "$lode" --help
gives 0 '^lode [0-9]' "$lode" --version
gives 0 'blas' "$lode" --version
gives 0 'lode make' "$lode" help make
gives 0 'lode make' "$lode" make --help
gives 0 'apply MODEL' "$lode" help apply
gives 0 '"name": "make"' "$lode" help make --json
gives 0 'make' "$lode" find generate data
gives 0 'compare' "$lode" list bounds
gives 2 "did you mean 'compare'" "$lode" comparre
gives 2 'no family' "$lode" list nosuch
gives 2 'did you mean --shape' "$lode" make normal --shpae 3 -o "$dir/x.npy"
gives 2 "'lode list' shows all" "$lode" plan nosuch
gives 2 'missing' "$lode" compare data/winds_u.npy
gives 2 'too many inputs' "$lode" compare data/winds_u.npy data/winds_u.npy data/winds_u.npy
gives 2 'threads' "$lode" compare a b --threads 0
gives 2 'memory' "$lode" compare a b --memory lots
gives 2 'no option -x' "$lode" make normal -x
gives 2 "no kind 'nosuch'" "$lode" make nosuch -o "$dir/x.npy"
gives 2 'error needs a value' "$lode" compress data/winds_u.npy --error
gives 2 'rank needs a value' "$lode" plan svd data/winds_u.npy --rank --json
gives 0 'written .*nothing; -o FILE keeps the result' "$lode" make normal --shape 3
gives 0 'holds one member alone' "$lode" compress data/sst_coads.npy[0] -o "$dir/alone.npy"
for e in 0 -1 nan inf abc 1e-3:foo '' :rel 0:max 60:psnr=0; do gives 2 'option error is' "$lode" compress data/sst_coads.npy --error "$e"; done
gives 2 '[.]mat, [.]cfl' "$lode" make normal --shape 3 -o "$dir/x.nosuch"
gives 0 'alone, U;' "$lode" svd data/winds_u.npy[0,20:25,0:4] -o "$dir/U.npy"
gives 2 'nosuch.npy' "$lode" compare "$dir/nosuch.npy" "$dir/nosuch.npy"
test ! -e "$dir/x.npy" || fail 'a failed command left a file'
for shell in bash zsh fish; do gives 0 compare "$lode" describe completion $shell; done
gives 0 '.TH LODE' "$lode" describe man make
gives 0 'lode..compress (1)' "$lode" describe man
# every page renders without a complaint
if command -v groff >/dev/null; then
    for op in '' $("$lode" list | awk '{print $1}'); do
        # shellcheck disable=SC2086 # none for the overview
        "$lode" describe man $op >"$dir/page.1"
        groff -man -Tutf8 -ww -b -z "$dir/page.1" >"$dir/said" 2>&1
        test ! -s "$dir/said" || { cat "$dir/said" >&2; fail "man page of '$op'"; }
    done
fi
gives 0 '^# make' "$lode" describe markdown make
