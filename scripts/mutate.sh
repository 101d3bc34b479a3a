#!/usr/bin/env bash
# Mutation testing: changes the meaning of one line at a time and reports which changes no test notices.
#
#   scripts/mutate.sh [--seed N] [--count N] [--folders LIST] [--exclude LIST] [--commit REV] [--jobs N] [--out DIR]
#                     [--levels N] [--areas LIST] [--resume] [--only IDS] [--list]
#
#   --seed N         which mutants are drawn (default 1); the same seed draws the same ones while their lines are the same
#   --count N        number of mutants (default 50); a larger count draws the same ones and more
#   --folders LIST   folders or files to mutate, separated by commas (default launch/run/stages,rl,trainer,data,checkpoints,configs,base)
#   --exclude LIST   folders or files to leave out (default trainer/parallel)
#   --commit REV     the commit to test (default HEAD); uncommitted changes are ignored, and the working tree is never touched
#   --jobs N         mutants tested side by side, each in a copy of the tree of its own (default 2)
#   --out DIR        where results.jsonl, report.txt and report.json go (default build/mutation/seed-N-COMMIT)
#   --levels N       run the tests of the first N folders only: those of the folder itself, then of the folders above it (default all). 1 is
#                    fast; what survives it can be tried again with --only and all levels, in another --out
#   --areas LIST     run these tests only, in this order, whatever the folder of the mutant: base, configs, data, checkpoints, trainer, rl,
#                    options, launch. With --only, it saves running again what a mutant has survived already
#   --resume         continue with the results in DIR
#   --only IDS       test only these of the drawn mutants, such as survivors that a new test should kill
#   --list           show the drawn mutants and exit
#
# A mutant is killed (a test fails, crashes or hangs), survived (the report holds its diff), accepted (it survived, and
# tests/mutation/accepted.txt says why no test can kill it), equivalent (it has the same object code) or not compiled. Copies and their
# builds stay in build/mutation for the next run. The first run builds them.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

for arg in "$@"; do
  case $arg in
    -h | --help) usage; exit 0 ;;
  esac
done

export PYTHONPATH=$repo/scripts PYTHONDONTWRITEBYTECODE=1
exec python3 -m mutation --libtorch "$libtorch" --processors "$(build_jobs /proc/meminfo)" "$@"
