#!/usr/bin/env bash
# Installs what terse needs to build and test: system packages, a pinned LibTorch in a cache outside the tree, and a test-only Python
# environment. Idempotent; Debian 12 and Ubuntu 24.04, as root or with sudo.
#
#   scripts/setup.sh [--check] [--cpu|--cuda]
#
#   --check   change nothing; list what is missing and exit 1 if anything is
#   --cuda    also unpack LibTorch's CUDA libraries (4 GB more); the default when nvcc or an NVIDIA GPU is found
#   --cpu     do without them
#
# TERSE_CACHE (default ~/.cache/terse) holds LibTorch; TERSE_LIBTORCH=DIR uses an unpacked LibTorch of your own instead.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${TERSE_CACHE:-$HOME/.cache/terse}
torch_version=2.11.0
libtorch=${TERSE_LIBTORCH:-$cache/libtorch-$torch_version}
venv=$cache/test-venv

check=no
variant=auto
for arg in "$@"; do
  case $arg in
    --check) check=yes ;;
    --cpu) variant=cpu ;;
    --cuda) variant=cuda ;;
    -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "setup.sh: unknown option '$arg' (known: --check --cpu --cuda)" >&2; exit 64 ;;
  esac
done
if [ $variant = auto ]; then
  variant=cpu
  if command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ] || command -v nvidia-smi >/dev/null; then variant=cuda; fi
fi

say() { printf '[setup] %s\n' "$*"; }
missing=()
need() { missing+=("$1"); say "missing: $1"; }

# 1. System packages.
packages=(g++ make cmake ninja-build git ca-certificates ccache python3 python3-pip python3-venv
  libyaml-cpp-dev libfmt-dev libhdf5-dev libopenmpi-dev openmpi-bin libgtest-dev libgmock-dev nlohmann-json3-dev libcli11-dev libssl-dev)
# Ubuntu ships Chromium as a snap only; the report is looked at in a browser on Debian.
if . /etc/os-release && [ "${ID:-}" = debian ]; then packages+=(chromium); fi
absent=()
for p in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || absent+=("$p")
done
if [ ${#absent[@]} -gt 0 ]; then
  if [ $check = yes ]; then
    need "system packages: ${absent[*]}"
  else
    say "installing ${#absent[@]} system packages: ${absent[*]}"
    sudo=()
    if [ "$(id -u)" != 0 ]; then
      command -v sudo >/dev/null || { echo "setup.sh: run as root or install sudo" >&2; exit 1; }
      sudo=(sudo)
    fi
    "${sudo[@]}" apt-get update -q
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${absent[@]}"
  fi
fi

# 2. LibTorch: unpack the pinned wheels side by side, so that torch finds nvidia/ next to itself.
unpack() {  # unpack BLOCK: downloads the block's wheels by hash and unpacks them; a marker file makes it idempotent
  local block=$1 work
  local marker=$libtorch/.terse-$block-$torch_version
  [ -e "$marker" ] && return 0
  if [ $check = yes ]; then need "LibTorch $torch_version ($block) in $libtorch"; return 0; fi
  say "LibTorch $torch_version ($block part) -> $libtorch"
  mkdir -p "$libtorch" "$cache"
  work=$(mktemp -d "$cache/download.XXXXXX")
  awk -v want="[$block]" '/^# \[/ {on = ($2 == want)} on && !/^#/' "$here/libtorch.lock" >"$work/lock.txt"
  python3 -m pip download --quiet --no-deps --require-hashes --only-binary=:all: --implementation cp --python-version 311 \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux_2_18_x86_64 \
    --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --platform manylinux_2_12_x86_64 --platform manylinux2010_x86_64 \
    --platform manylinux_2_5_x86_64 --platform manylinux1_x86_64 \
    --dest "$work" --requirement "$work/lock.txt"
  for wheel in "$work"/*.whl; do python3 -m zipfile -e "$wheel" "$libtorch"; done
  rm -rf "$work"
  touch "$marker"
}
if [ -n "${TERSE_LIBTORCH:-}" ]; then
  [ -e "$libtorch/torch/lib/libtorch_cpu.so" ] || need "torch/lib/libtorch_cpu.so under TERSE_LIBTORCH=$TERSE_LIBTORCH"
else
  unpack cpu
  if [ $variant = cuda ]; then unpack cuda; fi
fi

# 3. Python for tests only: reference numbers, TensorBoard's own reader, and the pinned formatter.
lock=$here/test-requirements.txt
if [ -e "$lock" ] && ! cmp -s "$lock" "$venv/installed.txt"; then
  if [ $check = yes ]; then
    need "test-only Python environment in $venv"
  else
    say "test-only Python environment -> $venv"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --require-hashes --only-binary=:all: -r "$lock"
    cp "$lock" "$venv/installed.txt"
  fi
fi

if [ ${#missing[@]} -gt 0 ]; then
  say "${#missing[@]} item(s) missing; run scripts/setup.sh to install them"
  exit 1
fi
say "ready ($variant): LibTorch $torch_version in $libtorch"
