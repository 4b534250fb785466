#!/usr/bin/env bash
# The README's list of libraries is the lock: on the Debian it names, the packages installed have these versions.
set -euo pipefail
readme=$1
. /etc/os-release
[ "${ID:-}-${VERSION_ID:-}" = debian-12 ] && command -v dpkg-query >/dev/null || { echo "not a Debian 12: skipped"; exit 77; }
rows=$(sed -n '/^## What it is built with/,/^## The code/p' "$readme" | grep -E '^\| [A-Za-z]' | grep -v '^| library ')
[ "$(wc -l <<<"$rows")" -ge 8 ] || { echo "dependencies: README.md lists fewer than 8 libraries" >&2; exit 1; }
wrong=0
while IFS='|' read -r _ library version package _; do
  library=$(xargs <<<"$library") version=$(xargs <<<"$version") package=$(xargs <<<"$package")
  installed=$(dpkg-query -W -f '${Version}' "$package" 2>/dev/null) || { echo "$package: not installed, not compared"; continue; }
  case $installed in
    "$version"[-+]*) ;;
    *) echo "dependencies: README.md says $library $version, installed is $package $installed" >&2; wrong=1 ;;
  esac
done <<<"$rows"
exit $wrong
