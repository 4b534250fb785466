#!/usr/bin/env bash
# The JUnit report of `check` against the form CI systems read (junit.xsd): every kind of finding, and names with all
# that XML escapes. Needs xmllint (libxml2-utils); .ci/run installs it, elsewhere it says that it skips.
set -euo pipefail
kvroof=$(realpath "$1")
schema=$(cd "$(dirname "$0")" && pwd)/junit.xsd
if ! command -v xmllint >/dev/null; then
  echo "xmllint is not installed: skipped"
  exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() { echo "junit: $1" >&2; exit 1; }

# 1: contexts of the five, so that the second run moves some of them.
scenarios() {
  cat <<END
tolerances: {tpot: {warn: 0.1%, error: 50%}}
scenarios:
  - {name: stays, model: llama-3.1-8b, hardware: h100-sxm, context: 4k}
  - {name: within, model: llama-3.1-8b, hardware: h100-sxm, context: $1, tolerances: $2}
  - {name: 'moves & "100 %" <b>, ü', model: llama-3.1-8b, hardware: h100-sxm, context: $1}
  - {name: fails, model: llama-3.1-8b, hardware: h100-sxm, context: $1, budgets: {tpot: < 1ns}}
  - {name: $3, model: llama-3.1-8b, hardware: h100-sxm, context: 4k}
END
}
all_free='{kv_sequence: 90%, kv_room: 90%, max_sequences: 90%, max_tokens: 90%, floor: 90%, low: 90%, tpot: 90%, high: 90%, throughput: 90%, cost: 90%, kv_token: 90%}'
scenarios 4k "$all_free" leaves >scenarios.yaml
"$kvroof" check scenarios.yaml --update --format junit >first.xml || [ $? -eq 1 ]
scenarios 5k "$all_free" comes >scenarios.yaml
"$kvroof" check scenarios.yaml --format junit >second.xml && fail "nothing moved"
for file in first second; do
  xmllint --noout --schema "$schema" $file.xml 2>lint.log || { cat lint.log >&2; fail "$file.xml is not as CI systems read it"; }
done

value() { xmllint --xpath "string($1)" second.xml; }
[ "$(value 'count(//testcase)')" = "$(value '/testsuites/@tests')" ] || fail "the tests are counted wrong"
[ "$(value 'count(//failure)')" = "$(value '/testsuites/testsuite/@failures')" ] || fail "the failures are counted wrong"
[ "$(value 'count(//testcase)')" -eq 6 ] || fail "expected 6 cases"
[ "$(value 'count(//testcase[@name="stays"]/*)')" -eq 0 ] || fail "'stays' says something"
[ "$(value 'count(//testcase[@name="within"]/system-out)')" -eq 1 ] || fail "'within' is not told"
[ "$(value 'count(//testcase[@name="leaves" or @name="comes" or @name="fails"]/failure)')" -eq 3 ] || fail "too few fail"
[ "$(value "//testcase[starts-with(@name, 'moves')]/@name")" = 'moves & "100 %" <b>, ü' ] || fail "a name is not itself"

# The schema finds what is wrong, or passing it would say nothing.
for damage in 's/<failure /<failed /; s/<\/failure>/<\/failed>/' 's/ name="stays"//' 's/ tests="6"/ tests="six"/' 's/ time="0"/ time="soon"/'; do
  sed "$damage" second.xml >damaged.xml
  ! xmllint --noout --schema "$schema" damaged.xml 2>/dev/null || fail "the schema takes $damage"
done
echo "every kind of finding: ok"
