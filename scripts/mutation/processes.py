"""Runs a command with limits, and leaves nothing of it behind.

A mutant may do anything: loop, fill the disk, use all memory, start a daemon. So each command gets limits and a folder of its own for
temporary files. Every process that has this folder in its environment is killed when the command ends.
"""

import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

LIMITS = ["prlimit", "--core=0", f"--fsize={4 << 30}", f"--data={12 << 30}"]
# Runs a command in its own mount namespace, where the folder $0 appears at the path $1. The command follows.
COVER = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$1" && cd "$1" && shift && exec "$@"']


def can_cover():
    """Whether this process may show a folder at another path to its own commands alone. Root may."""
    try:
        return os.geteuid() == 0 and subprocess.run([*COVER, "/", "/", "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


class Stopped(Exception):
    """The user has interrupted the run."""


class Commands:
    """Runs commands in a folder, one at a time. They see the folder at `place`, if it differs (see can_cover). Another thread ends the present
    command through `stop`."""

    def __init__(self, folder: Path, place: Path, stop: threading.Event):
        self.folder, self.place, self.stop = folder, place, stop
        self.scratch = f"build/scratch-{folder.name}"
        self.log = folder / "build" / "command.log"
        self.environment = {**os.environ, "TMPDIR": str(place / self.scratch), "GOMP_SPINCOUNT": "2000"}

    def run(self, command, seconds=None, environment=()):
        """Returns (exit status, output) of a command. The status is None when it took longer than `seconds`."""
        shutil.rmtree(self.folder / self.scratch, ignore_errors=True)
        (self.folder / self.scratch).mkdir(parents=True)
        variables = {**self.environment, **dict(entry.split("=", 1) for entry in environment)}
        cover = [*COVER, self.folder, self.place] if self.place != self.folder else []
        with open(self.log, "wb") as log:
            child = subprocess.Popen(
                [*LIMITS, *cover, *command],
                cwd=self.folder,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                status = self._wait(child, seconds)
            finally:
                self._end_leftovers(child)
        return status, self.log.read_text(encoding="utf-8", errors="replace")

    def _wait(self, child, seconds):
        end = time.monotonic() + (seconds or 1e9)
        while True:
            try:
                return child.wait(timeout=0.5)
            except subprocess.TimeoutExpired:
                if self.stop.is_set():
                    raise Stopped from None
                if time.monotonic() > end:
                    return None

    def _end_leftovers(self, child):
        if child.poll() is None:
            child.terminate()  # mpirun also ends its ranks
            try:
                child.wait(timeout=5)
            except subprocess.TimeoutExpired:
                pass
        while self._kill_marked():
            time.sleep(0.02)
        child.wait()

    def _kill_marked(self):
        """Kills the processes that have the scratch folder in their environment. Returns whether there was one."""
        mark, found = f"TMPDIR={self.environment['TMPDIR']}".encode(), False
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)
                    found = True
            except OSError:  # the process has ended, or it belongs to another user
                pass
        return found
