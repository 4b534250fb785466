#!/usr/bin/env bash
# The Debian package: built, opened, run from where it was opened; with `install` also installed and removed (root).
set -euo pipefail
build=$(cd "$1" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { echo "deb: $1" >&2; exit 1; }

cd "$folder"
cpack --config "$build/CPackConfig.cmake" -G DEB -B "$folder/packages" >cpack.log 2>&1 || { cat cpack.log >&2; fail cpack; }
package=$(ls packages/*.deb)
dpkg-deb --field "$package" Depends | grep -q libyaml-cpp || fail "no dependency on libyaml-cpp"
dpkg-deb --extract "$package" root
root/usr/bin/kvroof --version | grep -q '^kvroof ' || fail "doesn't run"
for file in share/man/man1/kvroof.1 share/kvroof/models.yaml share/kvroof/schema/models.schema.json share/bash-completion/completions/kvroof bin/kvroof; do
  [ -s "root/usr/$file" ] || fail "no $file"
done

if [ "${2:-}" = install ]; then
  apt-get install -y -qq "./$package" >/dev/null
  [ "$(command -v kvroof)" = /usr/bin/kvroof ] || fail "not on the path"
  kvroof estimate llama-3.1-8b h100-sxm >/dev/null
  apt-get remove -y -qq kvroof >/dev/null
  [ ! -e /usr/bin/kvroof ] || fail "left behind"
fi
echo "$(basename "$package"): ok"
