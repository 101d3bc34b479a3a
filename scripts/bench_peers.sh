#!/usr/bin/env bash
# Compares the speed of terse with that of other programs, and writes docs/benchmarks.md.
#
#   scripts/bench_peers.sh training|generation|llama-cpp|grpo|report|all [OPTION...]
#
#   training     updates of AdamW: PyTorch, eager and compiled; equal loss curves of fine-tuning
#   generation   new tokens: transformers
#   llama-cpp    new tokens of SmolLM2-135M: llama.cpp
#   grpo         steps of GRPO: TRL
#   report       nothing new; only writes the document from the logs again
#   all          all comparisons
#
#   --runs N      runs of each program, in turn (default: 5)
#   --threads N   threads of each program (default: the cores that this process may use)
#   --out DIR     folder of the logs (default: build/bench_peers)
#   --quick       tiny sizes, which show in minutes that everything works; the document then goes to DIR/benchmarks.md
#
# The script installs transformers and TRL with pip into an environment of its own in ~/.cache/terse, beside LibTorch's wheel, which has
# PyTorch in it, and builds llama.cpp there. The programs take turns, so that noise on the machine affects all of them; nothing else
# should run at the same time. All comparisons take hours. The files in tests/bench/peers/ explain what they compare.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=scripts/models_environment.sh
. "$(dirname "$0")/models_environment.sh"

peers=$repo/tests/bench/peers
venv=$cache/peers-venv
case ${1-} in
  -h | --help) usage; exit 0 ;;
  training | generation | llama-cpp | grpo) parts=("$1") ;;
  report) parts=() ;;
  all) parts=(training generation llama-cpp grpo) ;;
  '') die 64 "which comparison? See --help" ;;
  *) die 64 "no comparison '$1'; see --help" ;;
esac
shift

transformers_environment "$venv"
add_packages "$venv" trl "$peers/requirements.txt"
add_llama_cpp "$venv"
(build release auto terse model_logits)  # in a subshell, because it changes the folder and --out may be relative

run() {
  PYTHONPATH=$repo/tests/models HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false "$venv/bin/python" "$peers/$1" "${@:2}"
}
for part in ${parts[@]+"${parts[@]}"}; do
  say "$part"
  case $part in
    training)
      run training.py "$@"
      run loss_curve.py "$@"
      ;;
    generation) run generation.py "$@" ;;
    llama-cpp)
      "$repo/scripts/fetch_model.sh" smollm2-135m
      run llama.py "$@"
      ;;
    grpo) run grpo.py "$@" ;;
  esac
done
run write_report.py "$@"
