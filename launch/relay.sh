# mpirun.sh and slurm.sbatch source this file. It turns signals to a launcher into requests to the ranks.
# shellcheck shell=bash

# The ranks run under this command: a signal that arrives before the program has its handlers would kill it.
# shellcheck disable=SC2034  # for those who source this file
deaf=(env --ignore-signal=USR1 --ignore-signal=USR2)

# relay COMMAND...: runs mpirun or srun and returns its exit code. SIGUSR1, SIGTERM, SIGINT and SIGHUP (a closed terminal) reach the command
# as SIGUSR1, which it forwards to the ranks. On a SIGTERM the command would leave the ranks only one second to save. Under nohup bash keeps
# SIGHUP ignored. The request is repeated every second, because the ranks do not handle it yet while they start. A second SIGINT ends the
# command (130). `asked` is the last signal that requested a stop, or empty.
#
# When a machine is lost, the ranks end (76), but mpirun 4.1 may wait for ever for its daemon there. And when a rank is stopped after it has
# left MPI, only mpirun notices, and it waits, too. So relay watches the ranks on this machine, the processes named $rank_name. Once some
# have ended and no other one has run for half a minute, relay kills what is left (76). Ranks normally end within a far shorter time of one
# another.
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
    stopped=$(ranks_in T,t) || return 0  # the next check is in half a minute
    for rank in $stopped; do
      echo "terse: rank $(rank_of "$rank") (host $HOSTNAME) is stopped and all other ranks have ended, so it is killed" >&2 || true  # the terminal may be gone
      kill -KILL "$rank" 2>/dev/null || true
    done
    if [ -z "$stopped" ]; then send KILL; fi
  }
  rank_of() { tr '\0' '\n' <"/proc/$1/environ" | sed -n 's/^OMPI_COMM_WORLD_RANK=//p'; }
  # The command runs in a session of its own, so that Ctrl-C at the terminal reaches this script alone. SIGPIPE is ignored for mpirun 4.1:
  # at its end it restores the previous handler, but may still write to a rank that has just ended. SIGPIPE would kill it then and hide the
  # exit code of the job. The ranks have SIGPIPE as usual.
  (trap '' USR1 USR2 HUP PIPE; exec setsid "$@") &
  command=$!
  while kill -0 "$command" 2>/dev/null; do
    if [ -n "$twice" ]; then send TERM; elif [ -n "$asked" ]; then send USR1; fi
    if [ -n "${rank_name:-}" ]; then
      # Ctrl-C and a closed terminal also reach the programs that count. The result of an interrupted count is discarded.
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
