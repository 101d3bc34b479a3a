#!/usr/bin/env bash
# Sets up, builds, and runs every check and test. Ends with a summary, and exits with 1 if any part failed.
#
#   scripts/test.sh [--cpu|--cuda] [--preset release|debug|asan] [REGEX]
#
#   REGEX           only the test files whose name matches, e.g. '^rl/' or advantage_test (format, layers and errors are checked anyway)
#   --preset NAME   what to build and test; default: release
#   --cpu, --cuda   as for scripts/setup.sh
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

variant=auto
preset=release
regex=
while [ $# -gt 0 ]; do
  case $1 in
    --cpu) variant=cpu ;;
    --cuda) variant=cuda ;;
    --preset)
      [ $# -ge 2 ] || die 64 "--preset needs a name: release, debug or asan"
      preset=$2
      shift
      ;;
    -h | --help) usage; exit 0 ;;
    -*) die 64 "unknown option '$1' (known: --cpu --cuda --preset)" ;;
    *)
      [ -z "$regex" ] || die 64 "one REGEX at most, got '$regex' and '$1'"
      regex=$1
      ;;
  esac
  shift
done
case $preset in
  release) build_dir=$repo/build ;;
  debug | asan) build_dir=$repo/build/$preset ;;
  *) die 64 "unknown preset '$preset' (known: release, debug, asan)" ;;
esac

summary=()
failed=0
result=
part() {  # part NAME COMMAND...: runs it, sets `result`, and notes how long it took
  local name=$1 start=$SECONDS
  shift
  say "$name"
  # Runs in a subshell, so that a cd or an exit in it does not affect this script.
  if ("$@"); then
    result=passed
  else
    result=FAILED
    failed=$((failed + 1))
  fi
  summary+=("$(printf '%-8s %-8s %4d s' $result "$name" $((SECONDS - start)))")
}

run_tests() {
  local select=()
  if [ -n "$regex" ]; then select=(--tests-regex "$regex"); fi
  # One more than there are cores, because many tests wait most of the time.
  ctest --test-dir "$build_dir" --parallel $(($(nproc) + 1)) --output-on-failure --no-tests=error "${select[@]}"
}

part set-up set_up $variant
if [ $result = passed ]; then
  part format "$repo/scripts/format.sh" --check
  part layers "$repo/scripts/check_includes"
  part errors "$repo/scripts/check_errors"
  part writers "$repo/scripts/check_writers"
  part structure "$repo/scripts/check_structure"
  part build build "$preset" $variant
  if [ $result = passed ]; then part tests run_tests; else summary+=("not run  tests"); fi
else
  summary+=("not run  format, layers, errors, writers, structure, build, tests")
fi

say "summary (preset $preset${regex:+, tests matching $regex})"
printf '  %s\n' "${summary[@]}"
if [ $failed -gt 0 ]; then die 1 "failed: $failed of the parts above"; fi
say "all passed in $SECONDS s"
