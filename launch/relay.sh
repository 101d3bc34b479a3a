# Sourced by mpirun.sh and slurm.sbatch: how signals to a launcher become requests to the ranks.
# shellcheck shell=bash

# What the ranks run under: a signal that comes before the program has its handlers would kill it.
# shellcheck disable=SC2034  # for those who source this file
deaf=(env --ignore-signal=USR1 --ignore-signal=USR2)

# relay COMMAND...: runs mpirun or srun and returns its exit code. SIGUSR1, SIGTERM, SIGINT and SIGHUP (a closed terminal; under nohup bash
# leaves it ignored) reach the command as SIGUSR1, which it forwards to the ranks: its own SIGTERM would leave them one second to save. The
# request is repeated every second, because the ranks do not listen yet at start-up. A second SIGINT ends the command (130). `asked` is the
# last signal that wanted an end, or empty.
#
# When a machine is lost, the ranks end (76), but mpirun 4.1 may wait for its daemon there for ever. And a rank that is stopped when it has
# left MPI is missed by nobody but mpirun, which waits, too. So when those of its ranks that ran here, processes named $rank_name, have been
# gone or stopped for half a minute, far longer than ranks take to end after one another, what is left is killed (76).
relay() {
  local command nap code=0 twice='' lost='' here most=0 idle=0
  asked=''
  trap 'asked=USR1' USR1
  trap 'asked=TERM' TERM
  trap '[ "$asked" != INT ] || twice=yes; asked=INT' INT
  trap 'asked=HUP' HUP
  trap 'send USR2' USR2
  send() { kill "-$1" "$command" 2>/dev/null || true; }
  ranks_in() { pgrep -P "$command" -x "$rank_name" -r "$1" || true; }  # these states
  end_rest() {
    local rank stopped
    stopped=$(ranks_in T,t) || return 0  # it is asked again in half a minute
    for rank in $stopped; do
      echo "terse: rank $(rank_of "$rank") (host $HOSTNAME) is stopped, and the others have ended: so it is ended, too" >&2 || true  # the terminal may be gone
      kill -KILL "$rank" 2>/dev/null || true
    done
    if [ -z "$stopped" ]; then send KILL; fi
  }
  rank_of() { tr '\0' '\n' <"/proc/$1/environ" | sed -n 's/^OMPI_COMM_WORLD_RANK=//p'; }
  # In a session of its own: Ctrl-C at the terminal reaches this script alone. SIGPIPE: at its end mpirun 4.1 puts back what it found, but
  # may still write to a rank that has just gone; that would kill it, and hide the exit code of the job. The ranks have it as usual.
  (trap '' USR1 USR2 HUP PIPE; exec setsid "$@") &
  command=$!
  while kill -0 "$command" 2>/dev/null; do
    if [ -n "$twice" ]; then send TERM; elif [ -n "$asked" ]; then send USR1; fi
    if [ -n "${rank_name:-}" ]; then
      # Ctrl-C and a closed terminal also reach the programs that count; a count that was ended so says nothing.
      here=$(ranks_in D,R,S,T,t | wc -l) || here=$most
      if [ "$here" -gt "$most" ]; then most=$here; fi
      if [ "$here" -lt "$most" ] && [ -z "$(ranks_in D,R,S)" ]; then idle=$((idle + 1)); else idle=0; fi
      if [ "$idle" -ge 30 ]; then lost=yes idle=0; end_rest; fi
    fi
    sleep 1 &
    nap=$!
    wait -n "$command" "$nap" || true  # a signal ends it early
    kill "$nap" 2>/dev/null || true
  done
  wait "$command" 2>/dev/null || code=$?  # bash would tell of the signal that ended it
  trap - USR1 TERM INT HUP USR2
  if [ -n "$lost" ]; then code=76; fi
  if [ -n "$twice" ]; then code=130; fi
  return $code
}
