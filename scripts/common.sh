# The scripts of this folder source this file. It defines paths and messages, and how many compilers this machine can run at once.
# shellcheck shell=bash
# shellcheck disable=SC2034  # the variables are for the scripts that source this file
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
torch_version=2.11.0
cache=${TERSE_CACHE:-${HOME:?set HOME or TERSE_CACHE}/.cache/terse}
libtorch=${TERSE_LIBTORCH:-$cache/libtorch-$torch_version}
test_venv=$cache/test-venv

script=${0##*/}
say() { printf '[%s] %s\n' "${script%.sh}" "$*"; }
die() {  # die CODE MESSAGE...
  local code=$1
  shift
  printf '%s: %s\n' "$script" "$*" >&2
  exit "$code"
}

# The comment block at the head of the calling script is its help text.
usage() { awk 'NR > 1 && !/^#/ {exit} NR > 1 {sub(/^# ?/, ""); print}' "$0"; }

# A translation unit with the torch headers takes up to 2.5 GB. If more jobs run than fit in memory, the kernel kills a compiler.
build_jobs() {  # build_jobs MEMINFO [CGROUP_LIMIT]
  local meminfo=$1 limit=${2:-/sys/fs/cgroup/memory.max} kib cpus jobs bytes
  kib=$(awk '/^MemAvailable:/ {print $2}' "$meminfo")
  if bytes=$(cat "$limit" 2>/dev/null) && [ "$bytes" != max ] && [ $((bytes / 1024)) -lt "$kib" ]; then kib=$((bytes / 1024)); fi
  cpus=$(nproc)
  jobs=$((kib / (2560 * 1024)))
  if [ "$jobs" -gt "$cpus" ]; then jobs=$cpus; fi
  if [ "$jobs" -lt 1 ]; then jobs=1; fi
  echo "$jobs"
}

# set_up VARIANT: VARIANT is auto, cpu or cuda.
set_up() {
  if [ "$1" = auto ]; then "$repo/scripts/setup.sh"; else "$repo/scripts/setup.sh" "--$1"; fi
}

# build PRESET VARIANT [TARGET...]: configures and compiles; VARIANT is the same as above.
build() {
  local preset=$1 variant=$2 cuda=AUTO
  shift 2
  if [ "$variant" = cpu ]; then cuda=OFF; fi
  cd "$repo" || return
  cmake --preset "$preset" -DTERSE_LIBTORCH="$libtorch" -DTERSE_CUDA=$cuda &&
    cmake --build --preset "$preset" --parallel "$(build_jobs /proc/meminfo)" --target "${@:-all}"
}
