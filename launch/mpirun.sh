#!/usr/bin/env bash
# Starts terse as several ranks under Open MPI's mpirun, on this machine or on several.
#
#   launch/mpirun.sh [-n RANKS] [--hosts A,B,C] [--iface NAME] [--threads T] TERSE-ARGUMENTS...
#   launch/mpirun.sh -n 4 run configs/quickstart.yaml
#
#   -n RANKS      number of ranks; default: one per GPU of this machine, on each machine
#   --hosts LIST  machines of one kind, which share the ranks evenly, or a file with one machine per line. All machines see the same folders,
#                 and ssh reaches them without a password
#   --iface NAME  network interface between the machines (ib0, or 10.0.0.0/24); default: all that connect them
#   --threads T   cores per rank; default: the cores of the machine divided by its ranks
#
# TERSE_PROGRAM is the program to run (default: build/terse of this tree). MPIRUN_OPTIONS is added to mpirun's options.
#
# Each rank is bound to its cores and uses one thread per core. It takes the GPU whose number is its rank on its machine.
# CUDA_VISIBLE_DEVICES is passed on unchanged: it hides GPUs from all ranks alike.
#
# The exit code is the program's. On SIGUSR1, SIGTERM, Ctrl-C or a closed terminal, all ranks save and stop (75). A second Ctrl-C ends them
# at once (130). On SIGUSR2 they save and continue. Under nohup a closed terminal changes nothing.
#
# On one machine the ranks communicate through shared memory and open no port. mpirun itself listens on three ports (SECURITY.md), and Open
# MPI 4.1 has no setting that closes two of them. srun (launch/slurm.sbatch) works without mpirun.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=launch/relay.sh
. "$repo/launch/relay.sh"
die() { echo "mpirun.sh: $*" >&2; exit 64; }

ranks='' hosts='' iface='' threads=''
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) awk 'NR > 1 && !/^#/ {exit} NR > 1 {sub(/^# ?/, ""); print}' "$0"; exit 0 ;;
    -n | --hosts | --iface | --threads) [ $# -ge 2 ] || die "$1 needs a value" ;;
    -*) die "unknown option '$1' (known: -n --hosts --iface --threads)" ;;
    *) break ;;
  esac
  case $1 in
    -n) ranks=$2 ;;
    --hosts) hosts=$2 ;;
    --iface) iface=$2 ;;
    --threads) threads=$2 ;;
  esac
  shift 2
done
for number in "$ranks" "$threads"; do
  [[ $number =~ ^([1-9][0-9]*)?$ ]] || die "'$number' is not a number of ranks or threads; expected a whole number from 1"
done
program=${TERSE_PROGRAM:-$repo/build/terse}
[ $# -gt 0 ] || die "the arguments of terse are missing, e.g. launch/mpirun.sh -n 2 run configs/quickstart.yaml"
[ -x "$program" ] || die "$program does not exist; scripts/quickstart.sh builds it"
command -v mpirun >/dev/null || die "mpirun is not installed; scripts/setup.sh installs it (package openmpi-bin)"

# Distributes the ranks over the machines.
machines=(localhost)
if [ -f "$hosts" ]; then
  mapfile -t machines < <(awk '!/^ *(#|$)/ {print $1}' "$hosts")
elif [ -n "$hosts" ]; then
  IFS=, read -r -a machines <<<"$hosts"
fi
[ ${#machines[@]} -gt 0 ] || die "$hosts names no machine"
if [ -z "$ranks" ]; then
  gpus=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU') || die "the number of ranks is unknown, because no GPU was found here; give it with -n"
  ranks=$((gpus * ${#machines[@]}))
fi
each=$(((ranks + ${#machines[@]} - 1) / ${#machines[@]}))
options=(-n "$ranks" --host "$(printf "%s:$each," "${machines[@]}" | sed 's/,$//')")

# Counts the physical cores that this process may use.
cores=$(lscpu -p=CORE,SOCKET | grep -v '^#' | sort -u | wc -l)
if [ "$(nproc)" -lt "$cores" ]; then cores=$(nproc); fi
if [ -z "$threads" ]; then threads=$((cores > each ? cores / each : 1)); fi
if [ $((each * threads)) -gt "$cores" ]; then
  echo "[mpirun] note: $each ranks share $cores cores and take turns; use this only to try things out" >&2
  options+=(--oversubscribe --map-by core --bind-to core:overload-allowed)
else
  options+=(--map-by "slot:PE=$threads" --bind-to core)
fi

if [ -n "$iface" ]; then
  options+=(--mca oob_tcp_if_include "$iface" --mca btl_tcp_if_include "$iface" -x "NCCL_SOCKET_IFNAME=$iface")
elif [ -z "$hosts" ]; then
  options+=(--mca btl 'self,vader' --mca oob_tcp_if_include lo)
fi
# These settings give up a machine that no longer answers after 30 seconds instead of minutes.
options+=(--mca oob_tcp_keepalive_time 10 --mca oob_tcp_keepalive_intvl 5 --mca oob_tcp_keepalive_probes 4)
if [ "$(id -u)" = 0 ]; then options+=(--allow-run-as-root); fi

# shellcheck disable=SC2034  # for relay
rank_name=$(basename "$program" | cut -c -15)  # as the system shows it
# shellcheck disable=SC2086  # options, to be split
relay mpirun "${options[@]}" ${MPIRUN_OPTIONS:-} "${deaf[@]}" "$program" "$@"
