#!/usr/bin/env bash
# Opens the report's one HTML file in headless Chromium, as wide as a phone and as a desktop: no error on the console, no
# request leaves the file, the page itself never scrolls sideways, and every chart and table is there.
#
#   tests/report_html.sh build/release/kvroof
#
# Without Chromium it says so and passes as skipped (exit code 77).
set -euo pipefail
cd "$(dirname "$0")/.."
kvroof=$1
command -v chromium >/dev/null || { echo "chromium is not installed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$kvroof" report --diff --quiet --html "$folder/report.html" || [ $? -eq 1 ]

# What the page looks like from within, written where --dump-dom shows it.
cat >"$folder/probe.html" <<'PROBE'
<script>
addEventListener('load', () => {
  const all = q => [...document.querySelectorAll(q)];
  const wide = e => e.getBoundingClientRect();
  document.title = JSON.stringify({
    sideways: document.documentElement.scrollWidth > innerWidth,
    sections: all('section').length,
    charts: all('.wide > svg.kvroof').filter(e => wide(e).height > 100).length,
    tables: all('.wide > table').length,
    unread: all('img').length,
    dead: all('a[href^="#"]').filter(a => !document.getElementById(a.getAttribute('href').slice(1))).length,
    outside: performance.getEntriesByType('resource').filter(r => !r.name.startsWith('data:')).length});
});
</script>
PROBE
cat "$folder/report.html" "$folder/probe.html" >"$folder/probed.html"
for width in 400 1400; do
  chromium --headless --no-sandbox --disable-gpu --user-data-dir="$folder/profile" --enable-logging=stderr \
    --window-size=$width,1000 --virtual-time-budget=3000 --dump-dom "file://$folder/probed.html" \
    >"$folder/dom" 2>"$folder/log"
  seen=$(sed -n 's/.*<title>\({.*}\)<\/title>.*/\1/p' "$folder/dom" | head -1)
  echo "$width px: $seen"
  ! grep -q CONSOLE "$folder/log" || { grep CONSOLE "$folder/log" >&2; exit 1; }
  for want in '"sideways":false' '"unread":0' '"dead":0' '"outside":0'; do
    [[ $seen == *$want* ]] || { echo "expected $want" >&2; exit 1; }
  done
  charts=$(ls reports/*.svg | wc -l)
  [[ $seen =~ \"charts\":([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge "$charts" ] || { echo "expected $charts charts" >&2; exit 1; }
done
