#!/usr/bin/env bash
# Tries every stage on one NVIDIA GPU in bf16: sets up, builds, compares the CUDA kernels with LibTorch, then pretrains, fine-tunes, trains
# by RL, stops and resumes. Takes minutes, prints the figures, and exits with 1 when an outcome is not as expected.
#
#   scripts/smoke_gpu.sh [FOLDER]
#
#   FOLDER   where the runs and their reports stay; default: runs/smoke_gpu, emptied first
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

case ${1:-} in
  -h | --help) usage; exit 0 ;;
  -*) die 64 "unknown option '$1'" ;;
esac
command -v nvidia-smi >/dev/null || die 1 "there is no NVIDIA driver on this machine (nvidia-smi is missing), and this script needs a GPU"
gpus=$(nvidia-smi -L 2>&1) || die 1 "nvidia-smi finds no GPU: $gpus"
say "GPU: ${gpus%%$'\n'*}"

set_up cuda
build release cuda terse trainer_tests || die 1 "the build failed; see its messages above"

cd "$repo"
folder=$(realpath -m "${1:-runs/smoke_gpu}")
rm -rf "$folder/pretrain" "$folder/rl"
mkdir -p "$folder"

# Without nvcc there are no kernels of ours, and these tests only compare LibTorch on the GPU with the CPU.
grep -q '^CMAKE_CUDA_COMPILER:.*NOTFOUND' build/CMakeCache.txt && say "note: nvcc is not installed, so LibTorch's operations replace the CUDA kernels of terse"
say "comparing the kernels with LibTorch, and the GPU with the CPU"
build/tests/trainer_tests --gtest_filter='Gpu/*' | tee "$folder/kernels.txt" || die 1 "an operation on the GPU gave a wrong result"
if grep -q SKIPPED "$folder/kernels.txt"; then die 1 "nvidia-smi finds a GPU, but LibTorch does not"; fi

on_gpu=(--device cuda --set model.precision=bf16)

pretrain=(build/terse run configs/shakespeare.yaml "${on_gpu[@]}" --run-dir "$folder/pretrain" --set pretrain.steps=500)
say "pretraining: ${pretrain[*]}"
"${pretrain[@]}"

reinforce=(build/terse run configs/quickstart.yaml "${on_gpu[@]}" --run-dir "$folder/rl" --set sft.steps=800 --set rl.steps=80
  --set eval.problems_per_difficulty=50 --set run.log_every=1)

# stop_in STAGE: starts the run, asks it to save and stop once STAGE has begun, and expects exit code 75.
stop_in() {
  local stage=$1 waited=0 code=0
  say "running SFT and RL, with a stop in $stage: ${reinforce[*]}"
  "${reinforce[@]}" &
  local run=$!
  until grep -qs "\"stage\": *\"$stage\"" "$folder/rl/metrics.jsonl"; do
    kill -0 $run 2>/dev/null || break
    waited=$((waited + 1))
    if [ $waited -gt 1200 ]; then kill -KILL $run; die 1 "stage $stage recorded no step within 10 minutes"; fi
    sleep 0.5
  done
  kill -USR1 $run 2>/dev/null || die 1 "the run ended before this script could stop it in $stage"
  wait $run || code=$?
  [ $code = 75 ] || die 1 "a run that is asked to save and stop exits with 75; this one exited with $code"
}
stop_in sft
stop_in rl
say "resuming to the end"
"${reinforce[@]}"

python3 - "$folder" <<'PYTHON'
import json, sys
from pathlib import Path

folder = Path(sys.argv[1])
failures = []

def expect(condition, text):
    print(("  ok     " if condition else "  FAILED ") + text)
    if not condition:
        failures.append(text)

def metrics(run):
    return [json.loads(line) for line in (folder / run / "metrics.jsonl").read_text().splitlines()]

def stages(run):
    return {s["stage"]: s for s in json.loads((folder / run / "summary.json").read_text())["stages"]}

losses = [m["val_loss"] for m in metrics("pretrain") if "val_loss" in m]
expect(losses[-1] < 2.6, f"pretraining: validation loss {losses[-1]:.3f} after 500 steps (4.17 at the start)")
sft, rl = (stages("rl")[s]["eval"] for s in ("sft", "rl"))
expect(sft["accuracy"] > 0.3, f"SFT: accuracy {sft['accuracy']:.3f} at {sft['mean_tokens']:.1f} tokens")
expect(rl["accuracy"] >= sft["accuracy"] and rl["mean_tokens"] < sft["mean_tokens"],
       f"RL: accuracy {rl['accuracy']:.3f} at {rl['mean_tokens']:.1f} tokens")
for stage in ("sft", "rl"):
    steps = [m["step"] for m in metrics("rl") if m["stage"] == stage and "loss" in m]
    expect(len(steps) == len(set(steps)) and steps == sorted(steps), f"resume: each {stage} step recorded once, in order ({len(steps)} records)")
for run in ("pretrain", "rl"):
    for name, stage in stages(run).items():
        if stage.get("wall_s"):
            print(f"  figure {run}/{name}: {stage['steps']} steps, {stage['wall_s']:.1f} s, {stage['tokens'] / stage['wall_s']:.0f} tokens/s")
sys.exit(1 if failures else 0)
PYTHON
say "all stages ran on the GPU in $SECONDS s, set-up and build included; reports: $folder/pretrain/report.html $folder/rl/report.html"
