"""Shared by the tests that kill or stop one rank of a run at an exact place: they cause the fault and check how the run ends."""

import os
import signal
import sys
import time
from pathlib import Path

from launching import MPIRUN, PROGRAM, Launching, wait_until

FAULTY = PROGRAM.parent / "tests" / "faulty_terse"
ALL = "--all" in sys.argv

DEADLINE = 3  # seconds
SLEEP = 10  # seconds that faulty_terse sleeps
KILLED, STOPPED = 5, DEADLINE + 7  # seconds within which the other ranks must have ended, after SIGKILL and after SIGSTOP


class Faulting(Launching):
    """Tests that launch a.yaml into the run folder `faulty` several times. Each launch fails at a chosen place, and the last one completes."""

    needs = ["mpirun"]
    config = ""

    def setUp(self):
        super().setUp()
        if not FAULTY.exists():
            raise AssertionError(f"{FAULTY} has not been built")
        (self.folder / "a.yaml").write_text(self.config)
        (self.folder / "output").touch()
        (self.folder / "text.txt").write_text("3+2*5= 410 1 " * 80)

    def launch(self, ranks, program, *options, **environment):
        self.before = len(self.output())
        command = [MPIRUN, "-n", ranks, "run", "a.yaml", "--run-dir", "faulty", "--retry", *options]
        return self.start(*command, TERSE_PROGRAM=str(program), **environment)

    def said(self):
        """The output of this launch."""
        return self.output()[self.before :]

    def ranks(self):
        """The pids of the processes of the run. Their working folder identifies them."""
        found = set()
        for process in Path("/proc").iterdir():
            try:
                if process.name.isdigit() and os.readlink(process / "cwd") == str(self.folder):
                    if (process / "comm").read_text().strip() in (PROGRAM.name, FAULTY.name):
                        found.add(int(process.name))
            except OSError:
                continue
        return found

    def assert_down(self, launcher, culprit, since, number):
        """Checks that all ranks end in time, with the right exit code. Returns the seconds until all ranks but `culprit` had ended."""
        wait_until(lambda: self.ranks() <= {culprit}, "the end of the other ranks")
        seconds = time.time() - since
        wait_until(lambda: not self.ranks(), "the end of all ranks")
        code = self.end_of(launcher)
        self.assertLess(seconds, KILLED if number == signal.SIGKILL else STOPPED, self.said())
        self.assertEqual(code, 137 if number == signal.SIGKILL else 76, self.said())
        return seconds

    # The launcher names a killed rank. Exactly one message of terse names a stopped rank.
    def assert_named(self, rank, number):
        if number == signal.SIGKILL:
            self.assertRegex(self.said(), rf"process rank {rank} with PID \d+ on node \S+ exited on signal 9")
        else:
            self.assertEqual(self.said().count("terse: "), 1, self.said())
            self.assertRegex(self.said(), rf"terse: (.*: )?rank {rank} \(host \S+\) (has not|is stopped)")

    def settings(self, ranks, number):
        """Options of the launch. The deadline is long for a killed rank, which must be detected without it."""
        deadline = DEADLINE if number == signal.SIGSTOP else 300
        return ["--set", f"parallel.deadline={deadline}", "--set", f"parallel.zero={1 + ranks % 3}"]

    def fail_at(self, ranks, rank, number, place, *options):
        """Launches a run in which `rank` gets signal `number` at `place`. Returns the seconds until the other ranks had ended."""
        mark = self.folder / "mark"
        mark.unlink(missing_ok=True)
        fault = f"{rank} {number.name.removeprefix('SIG')} {place}"
        options = [*self.settings(ranks, number), *options]
        launcher = self.launch(ranks, FAULTY, *options, TERSE_FAULT=fault, TERSE_FAULT_MARK=str(mark))
        wait_until(lambda: (mark.exists() and mark.read_text()) or launcher.poll() is not None, f"fault {fault}")
        self.assertTrue(mark.exists(), f"it did not come to {fault}: {self.said()}")
        seconds = self.assert_down(launcher, int(mark.read_text()), mark.stat().st_mtime, number)
        self.assert_named(rank, number)
        return seconds

    def tell(self, number, seconds):
        if not seconds:
            return
        place = max(seconds, key=seconds.get)
        print(f"{len(seconds)} x {number.name}: the others were down after {seconds[place]:.1f} s at the most ({place})", file=sys.stderr)

    def finish(self, *options):
        self.assertEqual(self.end_of(self.launch(2, PROGRAM, *options)), 0, self.said())


def rank_of(pid):
    """The rank of a process, or None when it has ended or is no rank."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    return next((int(entry.partition(b"=")[2]) for entry in environment if entry.startswith(b"OMPI_COMM_WORLD_RANK=")), None)

