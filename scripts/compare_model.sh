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
# shellcheck source=scripts/models_environment.sh
. "$(dirname "$0")/models_environment.sh"

kind=model
case ${1-} in
  -h | --help) usage; exit 0 ;;
  --tiny | --llama-cpp) kind=${1#--}; shift ;;
  -*) die 64 "no option '$1'; see --help" ;;
esac
models_venv=$cache/models-venv
transformers_environment "$models_venv"
if [ "$kind" = llama-cpp ]; then add_llama_cpp "$models_venv"; fi

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
