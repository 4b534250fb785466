#!/usr/bin/env bash
# The completion scripts in the shells they are for: what each offers at a cursor. A shell that is not installed is
# named and skipped; .ci/run installs all three.
set -euo pipefail
kvroof=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
ln -s "$kvroof" "$folder/kvroof"
export PATH=$folder:$PATH HOME=$folder
cd "$folder"
touch mine.yaml

fail() { echo "$1: '$2' offers: $(echo $3 | cut -c1-300); expected $4" >&2; exit 1; }

# 1: shell, 2: command line up to the cursor, rest: words that must be offered, or !word that must not.
expect() {
  local shell=$1 line=$2 offered word
  shift 2
  offered=$("in_$shell" "$line")
  for word in "$@"; do
    if [ "${word:0:1}" = '!' ]; then
      ! grep -qxF -e "${word:1}" <<<"$offered" || fail "$shell" "$line" "$offered" "no ${word:1}"
    else
      grep -qxF -e "$word" <<<"$offered" || fail "$shell" "$line" "$offered" "$word"
    fi
  done
}

in_bash() {
  bash --norc -c '
    source <(kvroof completions bash)
    line=$1
    COMP_WORDS=($line)
    [[ $line == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _kvroof 2>/dev/null
    printf "%s\n" "${COMPREPLY[@]}"' bash "$1"
}

in_fish() {
  fish --no-config -c 'kvroof completions fish | source; complete -C "$argv[1]"' "$1" | cut -f1
}

# zsh completes only where somebody types: a pseudo-terminal, with every match listed through compadd.
in_zsh() {
  mkdir -p functions
  kvroof completions zsh >functions/_kvroof
  zsh -f -c '
    zmodload zsh/zpty
    zpty shell zsh -f -i
    zpty -w shell "PS1=; fpath=($PWD/functions \$fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=10000"
    zpty -w shell "compadd() { local -a found; builtin compadd -O found \"\$@\"; print -rl -- \${found/#/offer:} >> $PWD/offers; builtin compadd \"\$@\" }"
    zpty -w shell "print ready"
    zpty -r shell seen "*ready*ready*"
    : > offers
    zpty -n -w shell "$1"$'"'\\t'"'
    repeat 50; do sleep 0.1; [[ -s offers ]] && break; done
    sleep 0.5
    zpty -d shell' zsh "$1" >/dev/null 2>&1
  sed -n 's/^offer://p' offers
}

for shell in bash zsh fish; do
  if ! command -v "$shell" >/dev/null; then
    echo "$shell is not installed: skipped"
    continue
  fi
  expect "$shell" "kvroof est" estimate '!kv'
  expect "$shell" "kvroof estimate --kv-" --kv-dtype --kv-heads '!--tp'
  expect "$shell" "kvroof estimate llama-3.1-8" llama-3.1-8b
  expect "$shell" "kvroof estimate llama-3.1-8b h100-s" h100-sxm
  expect "$shell" "kvroof estimate llama-3.1-8b h100-sxm --engine v" vllm '!sglang'
  expect "$shell" "kvroof kv llama-3.1-8b --format " json markdown '!junit'
  expect "$shell" "kvroof check --format " junit github
  expect "$shell" "kvroof check --catalog m" mine.yaml
  expect "$shell" "kvroof completions " bash zsh fish
  echo "$shell: ok"
done
