#!/usr/bin/env bash
# Compares terse with transformers, PyTorch and llama.cpp.
#
#   scripts/compare_model.sh [MODEL [REFERENCE]]    a model that exists with transformers: token ids, logits, greedy continuations
#   scripts/compare_model.sh --tiny                 tiny random models with transformers and PyTorch: the same, exports, fine-tuning
#   scripts/compare_model.sh --llama-cpp [MODEL]    the export of a model with llama.cpp: token ids, greedy continuations
#
# MODEL is SmolLM2-135M-Instruct where none is given; scripts/fetch_model.sh gets it.
# The script installs transformers with pip into an environment of its own in ~/.cache/terse, beside LibTorch's wheel, which has PyTorch
# in it. With --llama-cpp it also builds llama.cpp there, which takes long. The files in tests/models/ explain what they compare.
# None of this is part of the tests, because it downloads up to 300 MB and takes minutes.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

kind=model
case ${1-} in
  -h | --help) usage; exit 0 ;;
  --tiny | --llama-cpp) kind=${1#--}; shift ;;
  -*) die 64 "no option '$1'; see --help" ;;
esac
models_venv=$cache/models-venv
lock=$repo/tests/models/requirements.txt
llama_cpp_lock=$repo/tests/models/requirements_llama_cpp.txt
install() { "$models_venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes "$@" </dev/null; }

if ! cmp -s "$lock" "$models_venv/.terse-lock"; then
  say "Python environment with transformers -> $models_venv"
  rm -rf "$models_venv"
  python3 -m venv "$models_venv"
  install --only-binary=:all: -r "$lock" || die 1 "could not install the packages of $lock; run the command again"
  for site in "$models_venv"/lib/python3.*/site-packages; do echo "$libtorch" >"$site/libtorch.pth"; done
  cp "$lock" "$models_venv/.terse-lock"
fi
if [ "$kind" = llama-cpp ] && ! cmp -s "$llama_cpp_lock" "$models_venv/.terse-llama-cpp-lock"; then
  say "building llama.cpp -> $models_venv"
  tools=$(mktemp)
  trap 'rm -f "$tools"' EXIT
  sed '/^llama-cpp-python/,$d' "$llama_cpp_lock" >"$tools"
  jobs=$(build_jobs /proc/meminfo)
  install --only-binary=:all: -r "$tools" &&
    CMAKE_ARGS=-DLLAVA_BUILD=OFF CMAKE_BUILD_PARALLEL_LEVEL=$jobs \
      install --no-build-isolation --no-binary=llama-cpp-python -r "$llama_cpp_lock" ||
    die 1 "could not install the packages of $llama_cpp_lock; run the command again"
  cp "$llama_cpp_lock" "$models_venv/.terse-llama-cpp-lock"
fi

(build release auto terse model_logits)  # in a subshell, because it changes the folder and MODEL may be relative
if [ "$kind" != tiny ] && [ $# = 0 ]; then
  "$repo/scripts/fetch_model.sh" smollm2-135m
  set -- "$repo/models/smollm2-135m.gguf"
fi
programs=("$repo/build/terse" "$repo/build/tests/model_logits")
case $kind in
  model) exec "$models_venv/bin/python" "$repo/tests/models/compare.py" "${programs[1]}" "$@" ;;
  tiny) exec "$models_venv/bin/python" "$repo/tests/models/tiny.py" "${programs[@]}" "$@" ;;
  llama-cpp) exec "$models_venv/bin/python" "$repo/tests/models/compare_llama_cpp.py" "${programs[@]}" "$@" ;;
esac
