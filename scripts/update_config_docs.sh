#!/usr/bin/env bash
# Regenerates docs/config.md from the field lists in configs/fields/. A test fails while the two differ.
#
#   scripts/update_config_docs.sh
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
case ${1:-} in
  '') ;;
  -h | --help) usage; exit 0 ;;
  *) die 64 "unknown argument '$1' (there are none)" ;;
esac
build release auto launch_tests
TERSE_UPDATE_DOCS=1 "$repo/build/tests/launch_tests" --gtest_filter='Reference.DocsAreUpToDate'
