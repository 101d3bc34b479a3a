"""Shared by the tests of the launchers: a tiny run, an MPI program that prints its place, and functions to wait and compare."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MPIRUN = ROOT / "launch" / "mpirun.sh"
PROGRAM = Path(os.environ.get("TERSE_PROGRAM", ROOT / "build" / "terse"))
ODD_FILE_SYSTEM = ROOT / "tests" / "support" / "odd_file_system.c"
SAME_WEIGHTS = PROGRAM.parent / "tests" / "same_weights"

# Ranks of the runs of terse. The MPI program below always runs with several ranks.
RANKS = 2

PATIENCE = 200  # seconds; far more than anything takes, so a test fails only if the event never happens

CONFIG = """\
stages: [sft, rl]
run: {name: tiny, device: cpu, threads: 1, log_every: 1}
model: {layers: 1, hidden_size: 16, heads: 2, intermediate_size: 32, max_seq_len: 128}
task: {k_min: 1, k_max: 2, align_to: 2}
sft: {steps: 4, batch_size: 4}
rl: {steps: 2, prompts: 2, group_size: 2, demonstrations: 2, max_resample_rounds: 0, eval_every: 0}
eval: {problems_per_difficulty: 2, samples: 2, quick_problems_per_difficulty: 1}
checkpoint: {every: 1}
"""
# A run that is long enough to be interrupted far from its end. It has few large steps, because each exchange between ranks may cost a
# time slice when they share cores with other tests.
LONG = ["--set", "sft.steps=300", "--set", "sft.batch_size=256", "--set", "checkpoint.every=0"]
# A run that ends only on a signal.
ENDLESS = ["--set", "sft.steps=1000000", "--set", "checkpoint.every=0"]


# Polls until `condition` is true and returns its value. Fails after PATIENCE seconds.
def wait_until(condition, what):
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come within {PATIENCE} s")
        time.sleep(0.01)
    return value


class Launching(unittest.TestCase):
    """A test in a temporary folder with a.yaml. It fails when a program that it needs is missing."""

    needs = []

    @classmethod
    def setUpClass(cls):
        for name in cls.needs:
            if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
                raise AssertionError(f"{name} is missing; scripts/setup.sh installs it")
        for program in (PROGRAM, SAME_WEIGHTS):
            if not program.exists():
                raise AssertionError(f"{program} has not been built")

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="terse-launching-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "a.yaml").write_text(CONFIG)

    def start(self, *command, **environment):
        """Starts a process and returns it. Its standard output and error go to the file `output`. The end of the test kills it."""
        log = open(self.folder / "output", "ab")
        self.addCleanup(log.close)
        env = {**os.environ, "TERSE_PROGRAM": str(PROGRAM), **environment}
        process = subprocess.Popen([str(c) for c in command], cwd=self.folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def odd_file_system(self):
        """Builds odd_file_system.c and returns the path of the library, for LD_PRELOAD."""
        library = self.folder / "odd.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, ODD_FILE_SYSTEM, "-ldl"], check=True)
        return str(library)

    def end_of(self, process):
        """Waits for the process and returns its exit code."""
        return process.wait(PATIENCE)

    def run_to_end(self, *command, **environment):
        return self.end_of(self.start(*command, **environment))

    def output(self):
        return (self.folder / "output").read_text(errors="replace")

    def starts(self, run):
        """The starts of a run in environment.json. The file is replaced as a whole, so it is never incomplete."""
        try:
            return json.loads((self.folder / run / "environment.json").read_text())["starts"]
        except FileNotFoundError:
            return []

    def steps(self, run):
        try:
            return (self.folder / run / "metrics.jsonl").read_text().count("\n")
        except FileNotFoundError:
            return 0

    def metrics(self, run):
        """The records of metrics.jsonl without metrics that depend on the clock or on the layout of ranks."""

        def timeless(name):
            return not name.startswith(("time", "engine/", "sync/", "pool/")) and name not in ("step_time", "mfu") and not name.endswith("tokens_per_s")

        lines = (self.folder / run / "metrics.jsonl").read_text().splitlines()
        return [{k: v for k, v in json.loads(line).items() if timeless(k)} for line in lines]

    def assert_same_run(self, run, other):
        """Compares every metric of every step, and the final weights."""
        ours, theirs = self.metrics(run), self.metrics(other)
        self.assertEqual(len(ours), len(theirs))
        for mine, yours in zip(ours, theirs):
            self.assertEqual(mine, yours)
        weights = subprocess.run([SAME_WEIGHTS, run, other], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(weights.returncode, 0, weights.stdout + weights.stderr)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def children_named(pid, name):
    """The pids of the child processes of `pid` with this name."""
    found = []
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    for child in children:
        try:
            if Path(f"/proc/{child}/comm").read_text() == f"{name}\n":
                found.append(int(child))
        except FileNotFoundError:
            continue
    return found


def child_named(pid, name):
    """The first child process of `pid` with this name, or None."""
    return next(iter(children_named(pid, name)), None)


def freeze(pid):
    """Stops a process, so that it cannot end before a signal has arrived."""
    os.kill(pid, signal.SIGSTOP)


def wait_for_signal(pid, number=signal.SIGUSR1):
    """Waits until the signal is pending for a frozen process."""

    def pending():
        fields = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
        return (int(fields["ShdPnd"], 16) | int(fields["SigPnd"], 16)) & 1 << (number - 1)

    wait_until(pending, f"signal {number} to process {pid}")


def thaw(pid):
    os.kill(pid, signal.SIGCONT)


def build_probe(folder):
    """Compiles tests/support/mpi_probe.c and returns the program."""
    program = Path(folder) / "mpi_probe"
    subprocess.run(["mpicc", "-O1", "-o", program, ROOT / "tests" / "support" / "mpi_probe.c"], check=True)
    return program


def places(text):
    """The places that the ranks of a probe have printed, in order of rank."""
    return sorted((json.loads(line) for line in text.splitlines() if line.startswith('{"rank"')), key=lambda place: place["rank"])
