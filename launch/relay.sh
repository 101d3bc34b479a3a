# Sourced by mpirun.sh and slurm.sbatch: how signals to a launcher become requests to the ranks.
# shellcheck shell=bash

# What the ranks run under: a signal that comes before the program has its handlers would kill it.
# shellcheck disable=SC2034  # for those who source this file
deaf=(env --ignore-signal=USR1 --ignore-signal=USR2)

# relay COMMAND...: runs mpirun or srun and returns its exit code. SIGUSR1, SIGTERM and SIGINT reach it as SIGUSR1, which it forwards to
# the ranks: its own SIGTERM would leave them one second to save. It is asked again every second, because at start-up nobody
# listens yet. A second SIGINT ends it (130). `asked` is the last signal that wanted an end, or empty.
#
# When a machine is lost, the ranks end (76), but mpirun 4.1 may wait for its daemon there for ever. So it is killed when those of its ranks
# that ran here, processes named $rank_name, have been gone for half a minute: far longer than ranks take to end after one another.
relay() {
  local command nap code=0 twice='' lost='' last=''
  asked=''
  trap 'asked=USR1' USR1
  trap 'asked=TERM' TERM
  trap '[ "$asked" != INT ] || twice=yes; asked=INT' INT
  trap 'send USR2' USR2
  send() { kill "-$1" "$command" 2>/dev/null || true; }
  ranks_here() { [ -n "${rank_name:-}" ] && pgrep -P "$command" -x "$rank_name" -r D,R,S,T,t &>/dev/null; }
  # In a session of its own: Ctrl-C at the terminal reaches this script alone.
  (trap '' USR1 USR2; exec setsid "$@") &
  command=$!
  while kill -0 "$command" 2>/dev/null; do
    if [ -n "$twice" ]; then send TERM; elif [ -n "$asked" ]; then send USR1; fi
    if ranks_here; then last=$SECONDS; elif [ -n "$last" ] && [ $((SECONDS - last)) -ge 30 ]; then lost=yes; send KILL; fi
    sleep 1 &
    nap=$!
    wait -n "$command" "$nap" || true  # a signal ends it early
    kill "$nap" 2>/dev/null || true
  done
  wait "$command" 2>/dev/null || code=$?  # bash would tell of the signal that ended it
  trap - USR1 TERM INT USR2
  if [ -n "$lost" ]; then code=76; fi
  if [ -n "$twice" ]; then code=130; fi
  return $code
}
