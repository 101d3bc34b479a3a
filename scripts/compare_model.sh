#!/usr/bin/env bash
# Compares terse with transformers on a model that exists: token ids, logits and greedy continuations.
#
#   scripts/compare_model.sh [MODEL [REFERENCE]]    default: SmolLM2-135M-Instruct, which scripts/fetch_model.sh gets
#
# It installs transformers with pip into an environment of its own in ~/.cache/terse, beside LibTorch's wheel, which has PyTorch in it.
# tests/models/compare.py explains what it compares. Not part of the tests, because it downloads 150 MB and takes minutes.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

case ${1-} in -h | --help) usage; exit 0 ;; esac
models_venv=$cache/models-venv
lock=$repo/tests/models/requirements.txt
if ! cmp -s "$lock" "$models_venv/.terse-lock"; then
  say "Python environment with transformers -> $models_venv"
  rm -rf "$models_venv"
  python3 -m venv "$models_venv"
  "$models_venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: -r "$lock" </dev/null ||
    die 1 "could not install the packages of $lock; run the command again"
  for site in "$models_venv"/lib/python3.*/site-packages; do echo "$libtorch" >"$site/libtorch.pth"; done
  cp "$lock" "$models_venv/.terse-lock"
fi
build release auto model_logits
if [ $# = 0 ]; then
  "$repo/scripts/fetch_model.sh" smollm2-135m
  set -- "$repo/models/smollm2-135m.gguf"
fi
exec "$models_venv/bin/python" "$repo/tests/models/compare.py" "$repo/build/tests/model_logits" "$@"
