#!/usr/bin/env bash
# Formats the C++ and CUDA sources with the clang-format that the test environment pins. So the version is the same on every system.
#
#   scripts/format.sh [--check] [FILE...]
#
#   --check   change nothing; show what would change and exit 1 if anything would
#   FILE...   only these files; default: every source of the project
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

check=no
files=()
for arg in "$@"; do
  case $arg in
    --check) check=yes ;;
    -h | --help) usage; exit 0 ;;
    -*) die 64 "unknown option '$arg' (known: --check)" ;;
    *.h | *.cpp | *.cu | *.cuh) files+=("$(realpath "$arg")") ;;
    *) die 64 "$arg is not a C++ or CUDA source" ;;
  esac
done

version=14.0.6
formatter=$test_venv/bin/clang-format
if ! "$formatter" --version 2>/dev/null | grep -qF "version $version"; then
  die 1 "no clang-format $version at $formatter; run scripts/setup.sh"
fi

cd "$repo"
if [ ${#files[@]} -eq 0 ]; then
  mapfile -d '' files < <(find base configs data checkpoints trainer rl launch tests \
    \( -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' \) -type f -print0 | sort -z)
fi
if [ ${#files[@]} -eq 0 ]; then die 1 "no sources found under $repo"; fi

if [ $check = no ]; then
  "$formatter" -i --style=file "${files[@]}"
  say "${#files[@]} files formatted"
  exit 0
fi

# Few processes look at all files, which takes seconds. Only when something is off, each file is compared to show the difference.
if printf '%s\0' "${files[@]}" |
  xargs -0 -n 100 -P "$(nproc)" "$formatter" --dry-run -Werror --style=file >/dev/null 2>&1; then
  say "${#files[@]} files are formatted"
  exit 0
fi

off=0
for file in "${files[@]}"; do
  if ! difference=$("$formatter" --style=file "$file" | diff -u --label "$file" --label "$file (formatted)" "$file" -); then
    off=$((off + 1))
    printf '%s\n' "$difference" | head -n 30
  fi
done
if [ $off -gt 0 ]; then die 1 "$off of ${#files[@]} files are not formatted; run scripts/format.sh"; fi
say "${#files[@]} files are formatted"
