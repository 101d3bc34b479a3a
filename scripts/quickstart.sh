#!/usr/bin/env bash
# Goes from a fresh clone to a trained model and a report, in minutes on a CPU: sets up, builds, and runs configs/quickstart.yaml.
#
#   scripts/quickstart.sh [--cpu|--cuda] [OPTION OF terse run...]
#
#   --cpu, --cuda   what scripts/setup.sh installs and the build includes (default: CUDA where nvcc or a GPU is found)
#   anything else   is passed on, e.g. --set rl.penalty.kind=none --run-dir runs/no-penalty
#
# The same command resumes an interrupted run.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

variant=auto
options=()
for arg in "$@"; do
  case $arg in
    --cpu) variant=cpu ;;
    --cuda) variant=cuda ;;
    -h | --help) usage; exit 0 ;;
    *) options+=("$arg") ;;
  esac
done

set_up $variant
say "building (the first time takes minutes)"
build release $variant terse || die 1 "the build failed; see its messages above"

cd "$repo"
say "build/terse run configs/quickstart.yaml ${options[*]}"
code=0
build/terse run configs/quickstart.yaml "${options[@]}" || code=$?
case $code in
  0) ;;
  75) say "stopped and saved; the same command continues the run" ;;
  *) say "the run failed with exit code $code; see its message above" ;;
esac
exit $code
