"""Kills or stops a rank at any place of a run. The other ranks end soon, the rank is named, and a rerun ends as if nothing had happened.

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
from faults import ALL, FAULTY, SLEEP, Faulting, rank_of
from launching import PROGRAM, wait_until

CONFIG = """\
stages: [pretrain, sft, rl]
run: {name: tiny, device: cpu, threads: 1, log_every: 1}
model: {layers: 2, hidden_size: 32, heads: 2, intermediate_size: 48, max_seq_len: 128}
data: {train: text.txt}
task: {k_min: 1, k_max: 2, align_to: 2}
pretrain: {steps: 20, batch_size: 5, seq_len: 24}
sft: {steps: 50, batch_size: 23, optimizer: {lr: 0.01}}
rl: {steps: 40, prompts: 3, group_size: 8, demonstrations: 3, eval_every: 3}
eval: {problems_per_difficulty: 3, samples: 2, quick_problems_per_difficulty: 2}
checkpoint: {every: 2}
"""

# The places are named as in faulty_terse.cpp. The number counts from the start of the rank: the fault comes when the rank reaches the place
# for the N-th time.
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
    "student": "2 phase student",
}


class Faults(Faulting):
    config = CONFIG.replace("steps: 40", "steps: 200") if ALL else CONFIG

    def setUp(self):
        super().setUp()
        self.assertEqual(self.run_to_end(PROGRAM, "run", "a.yaml", "--run-dir", "whole"), 0, self.output())

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

    def finish(self):
        super().finish()
        self.assert_same_run("faulty", "whole")

    def test_a_rank_killed_at_any_place_takes_the_others_down_at_once(self):
        self.fail_everywhere(signal.SIGKILL)

    def test_a_rank_stopped_at_any_place_takes_the_others_down_at_the_deadline(self):
        self.fail_everywhere(signal.SIGSTOP)

    def test_a_rank_with_a_slow_disk_is_waited_for(self):
        """The disk takes twice the deadline. The rank itself responds, so nobody gives it up."""
        mark = self.folder / "mark"
        options = ["--set", "stages=[sft]", "--set", "checkpoint.every=0", "--set", f"parallel.deadline={SLEEP / 2}"]
        slow = {"TERSE_FAULT": "1 SLEEP 1 write", "TERSE_FAULT_MARK": str(mark)}
        self.assertEqual(self.end_of(self.launch(2, FAULTY, *options, **slow)), 0, self.said())
        self.assertTrue(mark.exists(), "no rank was slow")

    def test_a_rank_stopped_in_the_last_save_is_found_although_nothing_else_is_to_be_done(self):
        only_save = ["--set", "stages=[sft]", "--set", "checkpoint.every=0"]
        self.fail_at(3, 1, signal.SIGSTOP, "1 write", *only_save)
        self.assertEqual(self.end_of(self.launch(2, PROGRAM, *only_save)), 0, self.said())

    def test_a_rank_stopped_when_it_has_left_mpi_does_not_keep_the_others_from_being_done(self):
        self.fail_at(3, 1, signal.SIGSTOP, "1 end", "--set", "stages=[sft]")
        self.assertEqual(self.end_of(self.launch(2, PROGRAM, "--set", "stages=[sft]")), 0, self.said())

    def fail_at_random_times(self, number, ranks, times):
        chance = random.Random(times + ranks)
        slowest = {}
        while len(slowest) < times:
            launcher = self.launch(ranks, PROGRAM, *self.settings(ranks, number))
            wait_until(lambda: len(self.ranks()) == ranks, "all ranks")
            time.sleep(chance.uniform(0, 3))
            rank = chance.randrange(ranks)
            pid = next((pid for pid in self.ranks() if rank_of(pid) == rank), None)
            if pid is None:  # the rank has ended
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


if __name__ == "__main__":
    unittest.main(argv=[argument for argument in sys.argv if argument != "--all"])
