#!/usr/bin/env bash
# What the compiler and the linker were told to harden stands in the program itself: read back with readelf.
set -euo pipefail
program=$1
fail() { echo "hardening: $1" >&2; exit 1; }
if ! command -v readelf >/dev/null; then
  echo "readelf is not installed: skipped"
  exit 0
fi
header=$(readelf -Wh "$program")
segments=$(readelf -Wl "$program")
dynamic=$(readelf -Wd "$program")
symbols=$(readelf -W --dyn-syms "$program")

grep -q 'Type: *DYN' <<<"$header" || fail "not position-independent: its addresses are known beforehand"
grep -q 'FLAGS_1.*PIE' <<<"$dynamic" || fail "a library, not a position-independent program"
grep -q 'GNU_RELRO' <<<"$segments" || fail "no RELRO: tables of pointers stay writable"
grep -Eq 'BIND_NOW|FLAGS.*NOW' <<<"$dynamic" || fail "RELRO is partial: functions are bound when first called"
grep -Eq 'GNU_STACK.* RW +0x' <<<"$segments" || fail "the stack is executable"
! grep -Eq 'LOAD.* RWE' <<<"$segments" || fail "a segment is writable and executable"
! grep -q 'TEXTREL' <<<"$dynamic" || fail "code is relocated when loaded"
! grep -Eq 'RPATH|RUNPATH' <<<"$dynamic" || fail "libraries are looked for where the build was"
grep -q '__stack_chk_fail' <<<"$symbols" || fail "no stack protector"
grep -Eq '__[a-z]+_chk@' <<<"$symbols" || fail "no call into the C library is checked (FORTIFY_SOURCE)"
echo "PIE, full RELRO, no executable stack, stack protector, FORTIFY_SOURCE: ok"
