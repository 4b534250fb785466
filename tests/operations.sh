#!/usr/bin/env bash
# The program where machines are not as they should be: disks that are full, pipes that close, no home, no terminal, other
# locales, no network, files nobody may write, Ctrl-C. What this machine can't stage is said to be skipped.
set -uo pipefail
kvroof=$(realpath "$1")
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
failures=0

fail() { echo "operations: $1" >&2; failures=$((failures + 1)); }
skip() { echo "skipped: $1"; }
# 1: what is tried, 2: the exit code expected, 3: all of stderr expected, rest: the command.
expect() {
  local what=$1 code=$2 message=$3
  shift 3
  "$@" >out 2>err
  local got=$?
  [ $got -eq "$code" ] || fail "$what: exit code $got, expected $code: $(head -c 300 err)"
  [ "$(cat err)" = "$message" ] || fail "$what: says '$(cat err)', expected '$message'"
}

# --- nothing can be written
for command in "kv llama-3.1-8b" "models" "estimate llama-3.1-8b h100-sxm --json" "sweep llama-3.1-8b h100-sxm --batch 1..64" \
  "--help" "kv --help" "--version" "completions bash" "man" "schema models" "chart list"; do
  expect "$command on a full disk" 2 "kvroof: standard output: can't be written" sh -c "'$kvroof' $command >/dev/full"
done
expect "no standard output" 2 "kvroof: standard output: can't be written" sh -c "'$kvroof' kv llama-3.1-8b >&-"
expect "a full disk" 2 "kvroof: /dev/full: can't be written" "$kvroof" kv llama-3.1-8b -o /dev/full
expect "a full disk, row by row" 2 "kvroof: /dev/full: can't be written" \
  "$kvroof" sweep llama-3.1-8b h100-sxm --batch 1..4096 -o /dev/full
expect "no such folder" 2 "kvroof: /nonexistent/x: can't be written" "$kvroof" kv llama-3.1-8b -o /nonexistent/x
expect "a folder as output" 2 "kvroof: $folder: can't be written" "$kvroof" kv llama-3.1-8b -o "$folder"

# --- a reader that has seen enough
"$kvroof" sweep llama-3.1-8b all --batch 1..512*2 --context 1k..128k*2 2>err | head -1 >/dev/null
code=${PIPESTATUS[0]}
[ "$code" -eq 141 ] || [ "$code" -eq 0 ] || fail "a closed pipe: exit code $code"
[ ! -s err ] || fail "a closed pipe: says '$(cat err)'"

# --- no home, no environment, no terminal
"$kvroof" estimate llama-3.1-8b h100-sxm >with 2>&1
expect "no HOME" 0 "" env -u HOME -u XDG_CONFIG_HOME -u XDG_DATA_HOME "$kvroof" estimate llama-3.1-8b h100-sxm
expect "a HOME that is not there" 0 "" env -u XDG_CONFIG_HOME HOME=/nonexistent "$kvroof" estimate llama-3.1-8b h100-sxm
expect "no environment" 0 "" env -i "$kvroof" estimate llama-3.1-8b h100-sxm
expect "no terminal" 0 "" setsid -w "$kvroof" estimate llama-3.1-8b h100-sxm </dev/null
cmp -s out with || fail "no terminal: another answer"
! grep -q $'\x1b' out || fail "colours without a terminal"

# --- locales: figures are read and written with a point everywhere
export LOCPATH=$folder/locales
mkdir -p "$LOCPATH"
same_in() {
  for arguments in "estimate llama-3.1-8b h100-sxm --json" "kv deepseek-v3 --json" "chart kv-vs-context" \
    "estimate qwen3-0.6b h100-sxm --memory-fraction 0.85 --format csv"; do
    LC_ALL=C "$kvroof" $arguments >plain 2>&1 || fail "$arguments: $(head -c 300 plain)"
    LC_ALL=$1 "$kvroof" $arguments >there 2>&1
    cmp -s plain there || fail "$arguments: another answer in $1"
  done
}
same_in POSIX
if localedef -i de_DE -f UTF-8 "$LOCPATH/de_DE.UTF-8" 2>/dev/null; then
  [ "$(LC_ALL=de_DE.UTF-8 printf '%.1f' 0,5 2>/dev/null)" = "0,5" ] || fail "de_DE has no decimal comma: the test says nothing"
  same_in de_DE.UTF-8
else
  skip "no localedef or no sources of de_DE"
fi
unset LOCPATH

# --- files: read-only, linked, missing
mkdir install
cp "$kvroof" install/
printf 'models:\n  mine: {name: Mine, family: mine, hidden: 64, vocab: 100, layers: [{count: 2, attention: {kind: full, q_heads: 2, kv_heads: 1, head_dim: 32}, feed_forward: {kind: gated, width: 64}}], source: here, confidence: C}\n' >install/mine.yaml
ln -s mine.yaml install/linked.yaml
ln -s gone.yaml install/dangling.yaml
chmod -R a-w install
expect "a read-only install" 0 "" install/kvroof kv llama-3.1-8b
expect "a symlinked catalogue" 0 "" install/kvroof kv mine --catalog install/linked.yaml
expect "a dangling catalogue" 2 "kvroof: install/dangling.yaml: can't be opened" install/kvroof kv mine --catalog install/dangling.yaml
[ "$(ls install)" = "$(printf 'dangling.yaml\nkvroof\nlinked.yaml\nmine.yaml')" ] || fail "something was written beside the program"

# --- two updates of one baseline at once: one of them wins whole
scenarios() { for i in $(seq 40); do echo "  - {name: s$i, model: llama-3.1-8b, hardware: h100-sxm, context: $((i * $1))}"; done; }
for round in 1 2 3; do
  (echo "scenarios:"; scenarios 100) >a.yaml
  (echo "scenarios:"; scenarios 200) >b.yaml
  "$kvroof" check a.yaml --baseline base.json --update >/dev/null 2>first &
  one=$!
  "$kvroof" check b.yaml --baseline base.json --update >/dev/null 2>second &
  two=$!
  wait $one || fail "two updates at once: the first fails: $(cat first)"
  wait $two || fail "two updates at once: the second fails: $(cat second)"
  "$kvroof" check a.yaml --baseline base.json >/dev/null 2>&1 || "$kvroof" check b.yaml --baseline base.json >/dev/null 2>&1 ||
    fail "two updates at once: the baseline is neither's"
  [ -z "$(ls | grep '\.new$')" ] || fail "two updates at once: files are left behind"
done

# --- Ctrl-C: 130, rows that are whole, and a word that some are missing
interrupted() {  # 1: format; the sweep is stopped once it has written something
  rm -f part err
  "$kvroof" sweep all --on all --batch 1..512 --context 1k..128k*2 --threads 2 --format "$1" -o part 2>err &
  local job=$!
  for _ in $(seq 300); do [ "$(stat -c %s part 2>/dev/null || echo 0)" -gt 20000 ] && break; sleep 0.1; done
  kill -INT $job
  wait $job
  local code=$?
  [ $code -eq 130 ] || fail "SIGINT in sweep ($1): exit code $code"
  grep -Eq '^kvroof: interrupted after [0-9,]+ of [0-9,]+ points$' err || fail "SIGINT in sweep ($1): says '$(tail -c 300 err)'"
}
set -m  # background jobs of a script would ignore SIGINT
interrupted csv
tail -1 part | grep -Eq '^# interrupted after [0-9,]+ of [0-9,]+ points$' || fail "SIGINT: a csv ends with '$(tail -1 part)'"
[ "$(grep -v '^#' part | awk -F, '{print NF}' | sort -u | wc -l)" -eq 1 ] || fail "SIGINT: a csv row is cut"
interrupted json
if command -v python3 >/dev/null; then
  python3 - <<'END' || fail "SIGINT: the JSON is not whole or does not say what is missing"
import json
part = json.load(open("part"))
assert part["missing"].startswith("interrupted after"), part["missing"]
assert 0 < len(part["rows"]) < part["points"]
END
else
  skip "python3 is not installed"
fi
rm -f out err  # what it says is waited for: a signal before it runs would hit this shell's copy instead
"$kvroof" measure --quick --save machine.yaml >out 2>err &
job=$!
for _ in $(seq 100); do [ -s err ] && break; sleep 0.1; done
kill -INT $job
wait $job
code=$?
[ $code -eq 130 ] || fail "SIGINT in measure: exit code $code: $(cat err)"
[ "$(tail -1 err)" = "kvroof: interrupted; nothing was written" ] || fail "SIGINT in measure: says '$(tail -1 err)'"
[ ! -e machine.yaml ] && [ ! -s out ] || fail "SIGINT in measure: something was written"
set +m

# --- no network: an empty namespace, and not one socket opened
if unshare -rn true 2>/dev/null; then
  expect "no network" 0 "" unshare -rn "$kvroof" estimate llama-3.1-8b h100-sxm
  expect "no network" 0 "" unshare -rn "$kvroof" plan llama-3.1-8b --users 8 --input 1k --output 128
else
  skip "no network namespaces here"
fi
if strace -f -o trace -e trace=network true 2>/dev/null; then
  strace -f -o trace -e trace=network "$kvroof" check a.yaml --baseline base.json >/dev/null 2>&1
  ! grep -q 'socket(' trace || fail "a socket was opened: $(grep -m1 'socket(' trace)"
else
  skip "strace can't trace here"
fi

[ $failures -eq 0 ] && echo "full disks, closed pipes, no home, locales, links, two updates, Ctrl-C, no network: ok"
exit $((failures > 0))
