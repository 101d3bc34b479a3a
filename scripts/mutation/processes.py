"""Runs a command with limits, and leaves nothing of it behind.

A mutant may do anything: loop, fill the disk, take all memory, leave a daemon. So each command gets limits, a folder of its own
for temporary files, and every process that carries this folder in its environment ends with the command.
"""

import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

LIMITS = ["prlimit", "--core=0", f"--fsize={4 << 30}", f"--data={12 << 30}"]
# A mount namespace of its own, in which the folder $0 lies at the place $1; what follows is the command.
COVER = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$1" && cd "$1" && shift && exec "$@"']


def can_cover():
    """Whether this process may show a folder at another place, to its own commands alone. Root may."""
    try:
        return os.geteuid() == 0 and subprocess.run([*COVER, "/", "/", "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


class Stopped(Exception):
    """The user has interrupted the run."""


class Commands:
    """Runs commands in a folder, one at a time. They see the folder at `place`, where it differs: see can_cover(). `stop` ends the
    present one from another thread."""

    def __init__(self, folder: Path, place: Path, stop: threading.Event):
        self.folder, self.place, self.stop = folder, place, stop
        self.scratch = f"build/scratch-{folder.name}"
        self.log = folder / "build" / "command.log"
        self.environment = {**os.environ, "TMPDIR": str(place / self.scratch), "GOMP_SPINCOUNT": "2000"}

    def run(self, command, seconds=None, environment=()):
        """(exit status, or None when it took longer than `seconds`; output) of a command."""
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
            child.terminate()  # mpirun takes its ranks along
            try:
                child.wait(timeout=5)
            except subprocess.TimeoutExpired:
                pass
        while self._kill_marked():
            time.sleep(0.02)
        child.wait()

    def _kill_marked(self):
        """Whether there was a process to kill that has the scratch folder in its environment."""
        mark, found = f"TMPDIR={self.environment['TMPDIR']}".encode(), False
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)
                    found = True
            except OSError:  # it has ended, or is someone else's
                pass
        return found
