"""Some ranks only generate while the others only learn. Where rollouts may not be stale, the bits are the same as those of one process. Where
they may, no group is lost or used twice, whichever rank is slow, frozen or killed."""

import json
import os
import re
import signal
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from faults import FAULTY
from launching import MPIRUN, PROGRAM, Launching, child_named, children_named, wait_until

CONFIG = """\
stages: [sft, rl]
run: {name: tiny, device: cpu, threads: 1, log_every: 1}
model: {layers: 2, hidden_size: 32, heads: 2, intermediate_size: 48, max_seq_len: 128, qk_norm: true}
task: {k_min: 1, k_max: 2, align_to: 2}
sft: {steps: 10, batch_size: 11}
rl: {steps: 10, prompts: 3, group_size: 4, demonstrations: 3, eval_every: 4}
eval: {problems_per_difficulty: 3, samples: 2, quick_problems_per_difficulty: 1}
checkpoint: {every: 3}
"""
SPLIT = ["--set", "parallel.layout=split"]


class Split(Launching):
    needs = ["mpirun"]

    def setUp(self):
        super().setUp()
        (self.folder / "a.yaml").write_text(CONFIG)

    def run_ranks(self, name, ranks, *options, **environment):
        return self.start(MPIRUN, "-n", ranks, "run", "a.yaml", "--run-dir", name, *SPLIT, *options, **environment)

    def ranks_of(self, process):
        """Returns the processes of the ranks, in order of rank; none once mpirun has ended."""
        mpirun = child_named(process.pid, "mpirun")
        return sorted(children_named(mpirun, "terse")) if mpirun else []

    def reach(self, process, run, steps):
        wait_until(lambda: self.steps(run) > steps or process.poll() is not None, "a few steps")

    def ledger(self, run):
        return [json.loads(line) for line in (self.folder / run / "ledger.jsonl").read_text().splitlines()]

    def assert_sound(self, run, steps, staleness):
        """Nothing is lost or used twice (verify checks every line of the ledger), and no rollout is older than the bound."""
        self.assertEqual(self.run_to_end(PROGRAM, "verify", run), 0, self.output())
        self.assertEqual([line["step"] for line in self.ledger(run)], list(range(1, steps + 1)))
        ages = [record["staleness/max"] for record in self.metrics(run) if "staleness/max" in record]
        self.assertEqual(len(ages), steps)
        self.assertLessEqual(max(ages), staleness)
        return ages

    def test_without_staleness_it_is_the_run_of_one_process_bit_for_bit(self):
        self.assertEqual(self.run_to_end(PROGRAM, "run", "a.yaml", "--run-dir", "alone"), 0, self.output())
        layouts = {2: [], 3: ["--set", "parallel.rollout_ranks=2"], 4: ["--set", "parallel.zero=3"]}
        for ranks, options in layouts.items():
            with self.subTest(ranks=ranks):
                name = f"ranks-{ranks}"
                self.assertEqual(self.end_of(self.run_ranks(name, ranks, *options)), 0, self.output())
                self.assert_same_run(name, "alone")
                self.assertEqual(self.ledger(name), self.ledger("alone"))
        self.assertEqual(self.run_to_end(PROGRAM, "verify", "alone"), 0, self.output())

    def test_a_run_goes_on_in_another_layout(self):
        self.assertEqual(self.run_to_end(PROGRAM, "run", "a.yaml", "--run-dir", "alone"), 0, self.output())
        process = self.run_ranks("moved", 3)
        self.reach(process, "moved", 13)
        process.send_signal(signal.SIGUSR1)
        self.assertIn(self.end_of(process), (75, 0), self.output())
        self.assertEqual(self.run_to_end(PROGRAM, "run", "a.yaml", "--run-dir", "moved"), 0, self.output())
        self.assert_same_run("moved", "alone")

    def test_rollouts_may_be_stale_up_to_the_bound(self):
        options = ["--set", "rl.max_staleness=2", "--set", "rl.steps=60"]
        self.assertEqual(self.end_of(self.run_ranks("stale", 4, *options)), 0, self.output())
        ages = self.assert_sound("stale", 60, 2)
        self.assertGreater(max(ages), 0)
        record = json.loads((self.folder / "stale" / "metrics.jsonl").read_text().splitlines()[-2])
        self.assertGreater(record["sync/bytes"], 0)
        self.assertEqual(record["sync/resent"], 0)

    def test_a_slow_rank_is_named_and_loses_nothing(self):
        options = ["--set", "rl.max_staleness=2", "--set", "rl.steps=60", "--set", "rl.group_deadline=0.4"]
        mark = self.folder / "mark"
        # Rank 3 generates. It stops in the middle of a group, which it therefore holds until the test lets it go on.
        fault = {"TERSE_PROGRAM": str(FAULTY), "TERSE_FAULT": "3 STOP 40 token", "TERSE_FAULT_MARK": str(mark)}
        process = self.run_ranks("slow", 4, *options, **fault)
        wait_until(lambda: (mark.exists() and mark.read_text()) or process.poll() is not None, "the fault of rank 3")
        named = r"rank 3 \(host .*\) is slow: it has been generating the group of problem \d+ for"
        wait_until(lambda: re.search(named, self.output()) or process.poll() is not None, "the name of the slow rank")
        os.kill(int(mark.read_text()), signal.SIGCONT)
        self.assertEqual(self.end_of(process), 0, self.output())
        self.assert_sound("slow", 60, 2)
        self.assertRegex(self.output(), named)

    def test_kills_lose_nothing(self):
        options = ["--set", "rl.max_staleness=2", "--set", "rl.steps=90", "--retry"]
        for kill in range(3):
            before = self.steps("killed")
            process = self.run_ranks("killed", 3, *options)
            self.reach(process, "killed", before + 15)
            ranks = self.ranks_of(process)
            if ranks:
                os.kill(ranks[kill % len(ranks)], signal.SIGKILL)
                self.assertNotEqual(self.end_of(process), 0)
            else:
                self.end_of(process)
        self.assertEqual(self.end_of(self.run_ranks("killed", 4, *options)), 0, self.output())
        self.assert_sound("killed", 90, 2)

    def test_a_frozen_rank_that_generates_is_named(self):
        options = ["--set", "rl.max_staleness=2", "--set", "rl.steps=100000", "--set", "parallel.deadline=2"]
        process = self.run_ranks("frozen", 3, "--set", "parallel.rollout_ranks=2", *options)
        self.reach(process, "frozen", 13)
        os.kill(self.ranks_of(process)[-1], signal.SIGSTOP)
        self.assertEqual(self.end_of(process), 76, self.output())
        self.assertRegex(self.output(), r"terse: .*rank 2 \(host .*it does not answer, so it is stopped")

    def test_one_rank_cannot_be_split(self):
        self.assertEqual(self.run_to_end(PROGRAM, "run", "a.yaml", "--run-dir", "one", *SPLIT), 78)
        self.assertRegex(self.output(), r"needs ranks that learn and ranks that generate; there are 1 ranks")
        self.assertEqual(self.run_to_end(PROGRAM, "run", "a.yaml", "--set", "rl.max_staleness=1"), 78)
        self.assertRegex(self.output(), r"rl.max_staleness[^\n]*is 1, but parallel.layout is colocated")


if __name__ == "__main__":
    unittest.main()
