"""A rank is killed or stopped at any place of a run: the others are down soon, it is named, and the rerun ends as if nothing had been.

    tests/launch/faults_test.py --all    more places, every rank of 2 and of 3, 20 random times each: 25 minutes
"""

import os
import random
import shutil
import signal
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from launching import MPIRUN, PROGRAM, Launching, wait_until

FAULTY = PROGRAM.parent / "tests" / "faulty_terse"

CONFIG = """\
stages: [pretrain, sft, rl]
run: {name: tiny, device: cpu, threads: 1, log_every: 1}
model: {layers: 2, width: 32, heads: 2, ffn_width: 48, context: 128}
data: {train: text.txt}
task: {k_min: 1, k_max: 2, align_to: 2}
pretrain: {steps: 20, batch_size: 5, context: 24}
sft: {steps: 50, batch_size: 23, optimizer: {lr: 0.01}}
rl: {steps: 40, prompts: 3, group_size: 8, replay: 3, eval_every: 3}
eval: {problems_per_difficulty: 3, samples: 2, quick_problems_per_difficulty: 2}
checkpoint: {every: 2}
"""

# What faulty_terse.cpp calls them; how often a rank comes there before the fault is counted from its start.
PLACES = {
    "before MPI": "1 start",
    "save in the background": "3 write",
    "reward": "3 phase reward",
    "reduce": "8 data gradient of",
    "eval": "2 phase eval",
    "save": "2 phase save",
}
MORE_PLACES = {
    "start-up": "1 call run folder is open",
    "rollout": "3 phase rollout",
    "backward": "7 call gradient of",
}
ALL_PLACES = {
    "loading": "1 call verify checkpoints",
    "waiting for a save": "2 call checkpoint is written",
    "rollouts on their way": "3 data rollouts",
    "weights on their way": "5 data weights of",
    "norm of the gradient": "3 call gradient norm",
    "practice": "2 phase practice",
}
ALL = "--all" in sys.argv

DEADLINE = 3  # seconds
KILLED, STOPPED = 5, DEADLINE + 7  # seconds within which the others are down


class Faults(Launching):
    needs = ["mpirun"]

    def setUp(self):
        super().setUp()
        if not FAULTY.exists():
            raise AssertionError(f"{FAULTY} has not been built")
        (self.folder / "a.yaml").write_text(CONFIG.replace("steps: 40", "steps: 200") if ALL else CONFIG)
        (self.folder / "text.txt").write_text("3+2*5= 410 1 " * 80)
        self.assertEqual(self.run_to_end(PROGRAM, "run", "a.yaml", "--run-dir", "whole"), 0, self.output())

    def launch(self, ranks, program, *options, **environment):
        self.before = len(self.output())
        command = [MPIRUN, "-n", ranks, "run", "a.yaml", "--run-dir", "faulty", "--retry", *options]
        return self.start(*command, TERSE_PROGRAM=str(program), **environment)

    def said(self):
        """By this launch."""
        return self.output()[self.before :]

    def ranks(self):
        """The processes of the run, by their working folder."""
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
        """All ranks, in time; the launcher says who it was. Returns the seconds until the others were down."""
        wait_until(lambda: self.ranks() <= {culprit}, "the end of the other ranks")
        seconds = time.time() - since
        wait_until(lambda: not self.ranks(), "the end of all ranks")
        code = self.end_of(launcher)
        self.assertLess(seconds, KILLED if number == signal.SIGKILL else STOPPED, self.said())
        self.assertEqual(code, 137 if number == signal.SIGKILL else 76, self.said())
        return seconds

    def assert_named(self, rank, number):
        if number == signal.SIGKILL:
            self.assertRegex(self.said(), rf"process rank {rank} with PID \d+ on node \S+ exited on signal 9")
        else:
            self.assertEqual(self.said().count("terse: "), 1, self.said())
            self.assertRegex(self.said(), rf"terse: (.*: )?rank {rank} \(host \S+\) (has not|is stopped)")

    def settings(self, ranks, number):
        """A killed rank has to be found without the deadline."""
        deadline = DEADLINE if number == signal.SIGSTOP else 300
        return ["--set", f"parallel.deadline={deadline}", "--set", f"parallel.zero={1 + ranks % 3}"]

    def fail_at(self, ranks, rank, number, place, *options):
        """Returns the seconds until the others were down."""
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

    def fail_everywhere(self, number):
        slowest = {}
        places = PLACES | (MORE_PLACES if number == signal.SIGKILL or ALL else {}) | (ALL_PLACES if ALL else {})
        for i, (name, place) in enumerate(places.items()):
            one = 2 + i % 2
            for ranks, rank in [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)] if ALL else [(one, i % 3 % one)]:
                with self.subTest(place=name, ranks=ranks, rank=rank):
                    slowest[f"{name}, rank {rank} of {ranks}"] = self.fail_at(ranks, rank, number, place)
        self.finish()
        self.tell(number, slowest)

    def tell(self, number, seconds):
        place = max(seconds, key=seconds.get)
        print(f"{len(seconds)} x {number.name}: the others were down after {seconds[place]:.1f} s at the most ({place})", file=sys.stderr)

    def finish(self):
        self.assertEqual(self.end_of(self.launch(2, PROGRAM)), 0, self.said())
        self.assert_same_run("faulty", "whole")

    def test_a_rank_killed_at_any_place_takes_the_others_down_at_once(self):
        self.fail_everywhere(signal.SIGKILL)

    def test_a_rank_stopped_at_any_place_takes_the_others_down_at_the_deadline(self):
        self.fail_everywhere(signal.SIGSTOP)

    def test_a_rank_stopped_in_the_last_save_is_found_although_nothing_else_is_to_be_done(self):
        only_save = ["--set", "stages=[sft]", "--set", "checkpoint.every=0"]
        self.fail_at(3, 1, signal.SIGSTOP, "1 write", *only_save)
        self.assertEqual(self.end_of(self.launch(2, PROGRAM, *only_save)), 0, self.said())

    def fail_at_random_times(self, number, ranks, times):
        chance = random.Random(times + ranks)
        slowest = {}
        while len(slowest) < times:
            launcher = self.launch(ranks, PROGRAM, *self.settings(ranks, number))
            wait_until(lambda: len(self.ranks()) == ranks, "all ranks")
            time.sleep(chance.uniform(0, 3))
            rank = chance.randrange(ranks)
            pid = next((pid for pid in self.ranks() if rank_of(pid) == rank), None)
            if pid is None:  # it has come to its end
                self.assertEqual(self.end_of(launcher), 0, self.said())
                self.assert_same_run("faulty", "whole")
                shutil.rmtree(self.folder / "faulty")
                continue
            steps = self.steps("faulty")
            os.kill(pid, number)
            slowest[f"fault {len(slowest) + 1}, rank {rank} of {ranks}, {steps} steps"] = self.assert_down(launcher, pid, time.time(), number)
            self.assert_named(rank, number)
        self.finish()
        self.tell(number, slowest)

    def test_killed_at_random_times(self):
        for ranks in (2, 3):
            with self.subTest(ranks=ranks):
                self.fail_at_random_times(signal.SIGKILL, ranks, 20 if ALL else 3)

    @unittest.skipUnless(ALL, "takes minutes")
    def test_stopped_at_random_times(self):
        for ranks in (2, 3):
            with self.subTest(ranks=ranks):
                self.fail_at_random_times(signal.SIGSTOP, ranks, 20)


def rank_of(pid):
    """The rank of a process that may have ended."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    return next((int(entry.partition(b"=")[2]) for entry in environment if entry.startswith(b"OMPI_COMM_WORLD_RANK=")), None)


if __name__ == "__main__":
    unittest.main(argv=[argument for argument in sys.argv if argument != "--all"])
