#!/usr/bin/env bash
# Install into a clean prefix, use every part of it, link the core from a second project, and uninstall to nothing.
set -euo pipefail
build=$1
compiler=$2
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
prefix=$folder/usr
fail() { echo "install: $1" >&2; exit 1; }

cmake --install "$build" --prefix "$prefix" >/dev/null
cd "$folder"
"$prefix/bin/kvroof" kv llama-3.1-8b --json | grep -q '"kv_bytes_per_token": 131072' || fail "the program doesn't answer"
"$prefix/bin/kvroof" kv llama-3.1-8b --catalog "$prefix/share/kvroof/models.yaml" >/dev/null
cmp -s "$prefix/share/kvroof/hardware.yaml" "$here/../hardware.yaml" || fail "the catalogue is another one"
grep -q '^complete -F _kvroof kvroof$' "$prefix/share/bash-completion/completions/kvroof" || fail "no bash completion"
head -1 "$prefix/share/zsh/site-functions/_kvroof" | grep -qx '#compdef kvroof' || fail "no zsh completion"
grep -q '^complete -c kvroof' "$prefix/share/fish/vendor_completions.d/kvroof.fish" || fail "no fish completion"
for file in models hardware catalogue scenarios config; do
  cmp -s "$prefix/share/kvroof/schema/$file.schema.json" <("$prefix/bin/kvroof" schema $file) || fail "no schema of $file"
done
if command -v groff >/dev/null; then
  warnings=$(groff -man -ww -Tutf8 "$prefix/share/man/man1/kvroof.1" 2>&1 >/dev/null)
  [ -z "$warnings" ] || fail "the manual page: $warnings"
fi

cmake -S "$here/package" -B second -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$compiler" >configure.log 2>&1 ||
  { cat configure.log >&2; fail "find_package(kvroof)"; }
cmake --build second >build.log 2>&1 || { cat build.log >&2; fail "a program that links kvroof::core"; }
# 80e9 bytes less 16,060,522,496 of weights, in sequences of 8,192 tokens of 131,072 bytes.
said=$(second/capacity)
[ "$said" = "59 sequences of 1073741824 bytes" ] || fail "the core answers: $said"

cmake --build "$build" --target uninstall >/dev/null
left=$(find "$prefix" -type f)
[ -z "$left" ] || fail "left behind: $left"
echo "installed, used, linked against, uninstalled"
