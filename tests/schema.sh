#!/usr/bin/env bash
# The JSON Schemas against a real validator: our own files pass, and what one side refuses as a mistake of form the
# other refuses too. Needs python3-jsonschema and python3-yaml; .ci/run installs them, elsewhere it says that it skips.
set -euo pipefail
commands=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
if ! python3 -c 'import jsonschema, yaml' 2>/dev/null; then
  echo "python3-jsonschema or python3-yaml is not installed: skipped"
  exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
env -u XDG_CONFIG_HOME HOME="$folder" PYTHONDONTWRITEBYTECODE=1 python3 "$here/schema.py" "$commands" "$here/.."
