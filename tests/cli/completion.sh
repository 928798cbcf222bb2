# Completion of bash, zsh and fish gives what the command knows: run without a terminal, by what each shell would call.
. tests/cli/lib.sh.inc
for shell in bash zsh fish; do "$lode" describe completion $shell >"$dir/$shell"; done
gives 2 'there is bash, zsh and fish' "$lode" describe completion tcsh
ops=$("$lode" list | awk '{print $1}')

# expects SHELL 'words of the line, the last one unfinished' 'what must be offered' 'what must not'
expects() {
    "complete_$1" "$2" >"$dir/offered"
    for want in $3; do grep -qx -e "$want" "$dir/offered" || { cat "$dir/offered" >&2; fail "$1 does not offer $want after: $2"; }; done
    for no in ${4:-}; do ! grep -qx -e "$no" "$dir/offered" || fail "$1 offers $no after: $2"; done
}

complete_bash() {
    bash --norc -c 'source "$1"; COMP_WORDS=($2); [[ $2 != *" " ]] || COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); complete -p lode | grep -q -- "-o default -F _lode" && _lode &&
        printf "%s\n" "${COMPREPLY[@]}"' bash "$dir/bash" "$1"
}

complete_zsh() { # the file is the body of a widget: compadd and _files say what they were given
    zsh -f -c 'compadd() { [[ $1 == -- ]] && shift; local w; for w in "$@"; do [[ $w == ${words[CURRENT]}* ]] && print -r -- $w; done; return 0 }
        _files() { print FILES }
        words=(${=2}); [[ $2 != *" " ]] || words+=(""); CURRENT=$#words; source "$1"' zsh "$dir/zsh" "$1"
}

complete_fish() {
    HOME="$dir" XDG_CONFIG_HOME="$dir" fish --no-config -c 'source $argv[1]; complete -C $argv[2]' "$dir/fish" "$1" | cut -f1
}

for shell in bash zsh fish; do
    command -v $shell >/dev/null || { echo "skipped: no $shell"; continue; }
    $shell -n "$dir/$shell"
    expects $shell 'lode ' "$ops apply verify rerun help"
    expects $shell 'lode comp' 'compress compare complete' 'svd apply'
    expects $shell 'lode plan ' 'svd compress' 'verify'
    expects $shell 'lode help t' 'tucker tt' 'svd'
    expects $shell 'lode list ' 'matrix tensor'
    expects $shell 'lode svd A.npy --ra' '--rank' '--max-rank --l1'
    expects $shell 'lode plan svd A.npy --o' '--oversampling'
    expects $shell 'lode svd A.npy --' '--rank --threads --checkpoint --force --json' '--l1 --access'
    expects $shell 'lode svd --method ' 'krylov golub-kahan full' 'hals true'
    expects $shell 'lode nmf X.npy --method h' 'hals' 'mu krylov'
    expects $shell 'lode pca --center ' 'true false'
    expects $shell 'lode svd A.npy --progress ' 'auto always never'
    # every option of every operation, as the description has them
    for op in $ops; do
        flags=$("$lode" help "$op" | sed -n 's/^  \(--[a-z0-9-]*\) .*/\1/p' | tr '\n' ' ')
        expects $shell "lode $op x --" "$flags"
    done
done
# what is a file is left to the shell: nothing is offered in its place
test -z "$(complete_bash 'lode svd A')" || fail 'bash offers words for a file'
! command -v zsh >/dev/null || test "$(complete_zsh 'lode svd A')" = FILES || fail 'zsh offers words for a file'
if command -v fish >/dev/null; then
    cd "$dir" && touch some.npy
    expects fish 'lode svd some' some.npy
    expects fish 'lode svd some.npy -o so' some.npy
fi
