#!/usr/bin/env bash
# Installs what terse needs to build and test: system packages, a pinned LibTorch in a cache outside the tree, and a Python environment that
# only the tests use. It can be repeated at any time. It runs on Debian 12 and Ubuntu 24.04 on x86-64, as root or with sudo.
#
#   scripts/setup.sh [--check] [--cpu|--cuda]
#
#   --check   change nothing; list what is missing and exit 1 if anything is
#   --cuda    also fetch LibTorch's CUDA libraries (1.9 GB to download); the default where nvcc or an NVIDIA GPU is found
#   --cpu     leave out LibTorch's CUDA libraries
#
# TERSE_CACHE (default ~/.cache/terse) holds LibTorch and the test environment. TERSE_LIBTORCH=DIR names a LibTorch of your own, a folder
# that holds torch/lib and torch/include. When everything is installed, no network is used.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

check=no
variant=auto
for arg in "$@"; do
  case $arg in
    --check) check=yes ;;
    --cpu) variant=cpu ;;
    --cuda) variant=cuda ;;
    -h | --help) usage; exit 0 ;;
    *) die 64 "unknown option '$arg' (known: --check --cpu --cuda)" ;;
  esac
done

missing=0
need() {
  missing=$((missing + 1))
  say "missing: $*"
}

choose_variant() {
  [ $variant = auto ] || return 0
  variant=cpu
  local nvcc
  if nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null); then
    variant=cuda
    say "found $nvcc: LibTorch's CUDA libraries are included (--cpu leaves them out)"
  elif nvidia-smi -L >/dev/null 2>&1; then
    variant=cuda
    say "found an NVIDIA GPU: LibTorch's CUDA libraries are included (--cpu leaves them out)"
  fi
}

# 1. System packages.
packages=(g++ make cmake ninja-build git ca-certificates ccache python3 python3-pip python3-venv libyaml-cpp-dev
  libhdf5-dev libgtest-dev libgmock-dev nlohmann-json3-dev libcli11-dev libssl-dev libxxhash-dev
  libpcre2-dev libutf8proc-dev libopenmpi-dev openmpi-bin procps)
# Only the tests use these: a Slurm of one node, and tools for sockets and network namespaces.
packages+=(slurm-wlm munge iproute2)

on_debian() { grep -qs '^ID=debian' /etc/os-release; }
installed() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

system_packages() {
  local p absent=()
  if on_debian; then packages+=(chromium); fi
  if ! command -v dpkg-query >/dev/null; then
    die 1 "this script installs with apt (Debian 12, Ubuntu 24.04). Elsewhere, install the equivalents of: ${packages[*]}"
  fi
  for p in "${packages[@]}"; do installed "$p" || absent+=("$p"); done
  [ ${#absent[@]} -gt 0 ] || return 0
  if [ $check = yes ]; then
    need "system packages: ${absent[*]}"
    return 0
  fi
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die 1 "installing packages needs root: run as root, install sudo, or ask for these packages: ${absent[*]}"
    as_root=(sudo)
  fi
  say "installing ${#absent[@]} system packages: ${absent[*]}"
  # One broken third-party source must not stop the set-up: the install below shows whether the packages are available.
  "${as_root[@]}" apt-get update -q -o DPkg::Lock::Timeout=300 </dev/null || say "apt-get update reported an error; continuing with the present package lists"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 \
    "${absent[@]}" </dev/null || die 1 "apt-get could not install: ${absent[*]} (see its message above)"
}

# The test of the report opens a page in a real browser. Debian has one among its packages, Ubuntu only as a snap.
browser() {
  local name
  if [ -n "${CHROMIUM:-}" ]; then
    [ -x "$CHROMIUM" ] || need "an executable at CHROMIUM=$CHROMIUM"
    return 0
  fi
  if on_debian; then return 0; fi
  for name in chromium chromium-browser google-chrome; do
    if command -v $name >/dev/null; then return 0; fi
  done
  say "note: found no Chromium or Chrome, which only the test of the HTML report needs. Install one (on Ubuntu: Google's package, or"
  say "      'snap install chromium') and, when it is not in PATH, point to it with CHROMIUM=/path/to/chromium."
}

# 2. LibTorch: the pinned wheels are unpacked side by side, so that torch finds nvidia/ next to itself.
lock_block() { awk -v want="[$1]" '/^# \[/ {on = ($2 == want); next} on && NF' "$repo/scripts/libtorch.lock"; }

# A part is ready when its marker holds the current text of the lock file. The marker is written last.
marker() { echo "$libtorch/.terse-$1-$torch_version"; }
part_ready() { [ -e "$libtorch/torch/lib/libtorch_cpu.so" ] && lock_block "$1" | cmp -s - "$(marker "$1")"; }

require_space() {  # require_space GB: runs before a download, so that the disk does not fill up in the middle of it
  local free
  free=$(df --output=avail -B 1000000000 "$cache" | tail -n 1)
  [ "$free" -ge "$1" ] || die 74 "$cache has $free GB free, but LibTorch needs $1 GB during the installation; free some space, or set TERSE_CACHE to another disk"
}

# Wheels that were downloaded completely stay in the cache until they are unpacked, so a retry continues with the rest.
download() {  # download PART FOLDER
  local quiet=(--quiet) platforms=() p line n=0 total
  if [ -t 1 ]; then quiet=(); fi
  for p in manylinux_2_{28,27,25,18,17,12,5} manylinux2014 manylinux2010 manylinux1; do platforms+=(--platform "${p}_x86_64"); done
  total=$(lock_block "$1" | wc -l)
  while read -r line; do
    n=$((n + 1))
    say "LibTorch ($1 part), wheel $n of $total: ${line%% *}"
    echo "$line" >"$work/lock.txt"
    TMPDIR=$work python3 -m pip download "${quiet[@]}" --no-cache-dir --disable-pip-version-check --no-deps --require-hashes \
      --only-binary=:all: --implementation cp --python-version 311 "${platforms[@]}" --dest "$2" \
      --requirement "$work/lock.txt" </dev/null || die 1 "could not fetch ${line%% *} from the Python package index; run the command again to continue"
  done < <(lock_block "$1")
}

unpack() {  # unpack PART: first beside its final place, then moved in by rename or hard links, so that no partial file is ever visible
  local part=$1 wheel wheels
  part_ready "$part" && return 0
  if [ $check = yes ]; then
    need "LibTorch $torch_version ($part part) in $libtorch"
    return 0
  fi
  require_space "$([ "$part" = cpu ] && echo 3 || echo 7)"
  wheels=$cache/wheels-$(lock_block "$part" | sha256sum | cut -c 1-12)
  mkdir -p "$wheels" "$work/tree"
  download "$part" "$wheels"
  say "unpacking into $libtorch"
  for wheel in "$wheels"/*.whl; do python3 -m zipfile -e "$wheel" "$work/tree"; done
  lock_block "$part" >"$work/marker"
  if [ "$part" = cpu ]; then
    if [ -e "$libtorch" ]; then mv "$libtorch" "$work/old"; fi
    mv "$work/marker" "$work/tree/$(basename "$(marker "$part")")"
    mv "$work/tree" "$libtorch"
  else
    cp -alf "$work/tree/." "$libtorch/"
    mv "$work/marker" "$(marker "$part")"
  fi
  rm -rf "$cache"/wheels-* "$work/tree" "$work/old"
}

get_libtorch() {
  if [ -n "${TERSE_LIBTORCH:-}" ]; then
    [ -e "$libtorch/torch/lib/libtorch_cpu.so" ] || need "torch/lib/libtorch_cpu.so under TERSE_LIBTORCH=$TERSE_LIBTORCH"
    return 0
  fi
  unpack cpu
  if [ $variant = cuda ]; then unpack cuda; fi
}

# 3. Python for the tests only: reference numbers, TensorBoard's own reader, and the pinned formatter.
test_environment() {
  local lock=$repo/scripts/test-requirements.txt
  if cmp -s "$lock" "$test_venv/installed.txt" && "$test_venv/bin/python" -c '' 2>/dev/null; then return 0; fi
  if [ $check = yes ]; then
    need "Python environment of the tests in $test_venv"
    return 0
  fi
  say "Python environment of the tests -> $test_venv"
  rm -rf "$test_venv"
  python3 -m venv "$test_venv" || die 1 "python3 -m venv failed; on Debian and Ubuntu, the package python3-venv provides it"
  "$test_venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: -r "$lock" </dev/null ||
    die 1 "could not install the tests' Python packages; run the command again to continue"
  cp "$lock" "$test_venv/installed.txt"
}

[ "$(uname -m)" = x86_64 ] || die 1 "terse runs on x86-64 (with AVX2); this machine is $(uname -m)"
choose_variant
system_packages
browser
if [ $check = no ]; then
  # Two set-ups at once take turns. What an interrupted one left behind is removed.
  mkdir -p "$cache"
  exec 9>"$cache/.lock"
  flock -n 9 || { say "waiting for another set-up that uses $cache"; flock 9; }
  rm -rf "$cache"/partial.*
  work=$(mktemp -d "$cache/partial.XXXXXX")
  trap 'rm -rf "$work"' EXIT
fi
get_libtorch
test_environment

if [ $missing -gt 0 ]; then
  [ $check = no ] || say "$missing thing(s) missing; scripts/setup.sh installs them"
  exit 1
fi
say "ready ($variant): LibTorch $torch_version in $libtorch"
