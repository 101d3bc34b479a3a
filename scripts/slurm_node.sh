#!/usr/bin/env bash
# Runs a Slurm cluster of one node, this machine, to try launch/slurm.sbatch on. It has its own ports, and its own configuration, key and
# state in one folder. It needs the packages slurm-wlm and munge. It works as root in a container, without systemd and cgroups, or as any
# user.
#
#   scripts/slurm_node.sh start|stop|status FOLDER
#
#   start    starts what does not run yet, waits until the node is idle, and prints the line that points sbatch to it
#   stop     cancels its jobs and stops everything; files stay
#   status   prints the node's state; exit code 1 when something does not run
#
# The daemons listen on SLURM_NODE_PORT (default 16817) and the port after it, at 127.0.0.1 only. SLURM_NODE_CPUS (default 4) is the number
# of processors that the node claims, whether or not they exist.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

patience=60  # seconds for a daemon to start or to stop

case ${1:-} in
  start | stop | status) ;;
  -h | --help) usage; exit 0 ;;
  '') die 64 "the command is missing (known: start, stop, status)" ;;
  *) die 64 "unknown command '$1' (known: start, stop, status)" ;;
esac
[ $# = 2 ] || die 64 "$1 needs one FOLDER for its configuration and state"
command=$1
folder=$(realpath -m "$2")
port=${SLURM_NODE_PORT:-16817}
node=$(hostname -s)
export SLURM_CONF=$folder/slurm.conf
export PATH=$PATH:/usr/sbin:/sbin

needed() {
  local program
  for program in munged mungekey slurmctld slurmd sbatch; do
    command -v $program >/dev/null || die 1 "$program is not installed; scripts/setup.sh installs it (packages slurm-wlm and munge)"
  done
}

pid_of() { cat "$folder/$1.pid" 2>/dev/null || true; }
# A process ID that now belongs to another program does not count, and neither does a dead process that was not reaped.
running() {
  local pid
  pid=$(pid_of "$1")
  [ -n "$pid" ] && grep -qs "^Name:.$1$" "/proc/$pid/status" && ! grep -q '^State:.[ZX]' "/proc/$pid/status"
}

wait_for() {  # wait_for WHAT COMMAND...
  local what=$1 end=$((SECONDS + patience))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || die 1 "$what was not reached within $patience s. The last lines of $folder/*.log:
$(tail -n 5 "$folder"/*.log 2>/dev/null)"
    sleep 0.2
  done
}

# Without CgroupPlugin, slurmd refuses to start where no cgroup2 is mounted. cred_expire (at least 5 s) is also the time that a requeued job
# waits, and sched_interval is the time until the scheduler runs again.
configure() {
  local user
  user=$(id -un)
  cat >"$SLURM_CONF" <<CONF
ClusterName=terse
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket,cred_expire=5
SlurmUser=$user
SlurmdUser=$user
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SchedulerParameters=sched_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=$node NodeAddr=127.0.0.1 CPUs=${SLURM_NODE_CPUS:-4} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
  echo CgroupPlugin=cgroup/v1 >"$folder/cgroup.conf"
}

start_munge() {
  running munged && return 0
  [ -s "$folder/munge.key" ] || mungekey --create --keyfile "$folder/munge.key"
  munged --force --key-file "$folder/munge.key" --socket "$folder/munge.socket" --pid-file "$folder/munged.pid" \
    --log-file "$folder/munged.log" --seed-file "$folder/munge.seed" || die 1 "munged did not start; see $folder/munged.log"
}

idle() { sinfo -h -o %T | grep -q -x -E 'idle|mixed|allocated'; }

start() {
  local p
  needed
  mkdir -p "$folder/state" "$folder/spool"
  chmod 755 "$folder"
  if ! running slurmctld && ! running slurmd; then
    for p in "$port" $((port + 1)); do
      if (: <"/dev/tcp/127.0.0.1/$p") 2>/dev/null; then die 1 "port $p is in use; choose another pair with SLURM_NODE_PORT"; fi
    done
    configure
  fi
  start_munge
  running slurmctld || slurmctld
  running slurmd || slurmd -N "$node"
  wait_for "an idle node" idle
  say "started; this line points Slurm's commands to it:"
  echo "export SLURM_CONF=$SLURM_CONF"
}

gone() { ! running "$1"; }
no_jobs() { [ -z "$(squeue -h)" ]; }

stop_one() {
  running "$1" || return 0
  kill "$(pid_of "$1")"
  wait_for "the end of $1" gone "$1"
}

stop() {
  if running slurmctld && running slurmd; then
    scancel --me 2>/dev/null || true
    wait_for "the end of all jobs" no_jobs
  fi
  for daemon in slurmd slurmctld munged; do stop_one $daemon; done
  say "stopped"
}

status() {
  local daemon code=0
  for daemon in munged slurmctld slurmd; do
    if running $daemon; then echo "$daemon runs (process $(pid_of $daemon))"; else echo "$daemon does not run"; code=1; fi
  done
  [ $code = 1 ] || sinfo -N -o '%N %T %C'
  return $code
}

$command
