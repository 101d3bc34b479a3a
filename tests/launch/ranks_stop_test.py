"""A stop request to one of several ranks, at any place, ends all of them in order. Ranks that were started differently are refused."""

import os
import shutil
import signal
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from faults import FAULTY
from launching import ENDLESS, MPIRUN, PROGRAM, Launching, alive, child_named, children_named, wait_until
from stopping import CONFIG, RL_BEGINS

SPLIT = ["--set", "parallel.layout=split"]


class Stops(Launching):
    needs = ["mpirun"]

    def setUp(self):
        super().setUp()
        (self.folder / "a.yaml").write_text(CONFIG)
        (self.folder / "text.txt").write_text("3+2*5= 410 1 " * 80)
        (self.folder / "output").touch()

    def stop_at(self, rank, fault, *options, ranks=2):
        mark = self.folder / "mark"
        mark.unlink(missing_ok=True)
        before = len(self.output())
        command = [MPIRUN, "-n", ranks, "run", "a.yaml", "--run-dir", "stopped", *options]
        code = self.run_to_end(*command, TERSE_PROGRAM=str(FAULTY), TERSE_FAULT=f"{rank} {fault}", TERSE_FAULT_MARK=str(mark))
        said = self.output()[before:]
        self.assertTrue(mark.exists(), f"it did not come to {fault}: {said}")
        self.assertEqual(code, 75, f"{fault}: {said}")
        self.assertEqual(said.count("terse: "), 1, said)

    def newest(self):
        return int((self.folder / "stopped/checkpoints/latest").read_text().removeprefix("step-"))

    def test_one_rank_that_hears_it_stops_all_and_the_run_ends_the_same(self):
        self.assertEqual(self.run_to_end(PROGRAM, "run", "a.yaml", "--run-dir", "whole"), 0, self.output())
        places = [
            (0, "USR1 1 text", None),
            (1, "USR1 6 phase pretrain", 6),
            (1, "USR1 1 hash", None),
            (1, "USR1 1 phase eval", 6),
            (0, "USR1 9 token", 6),
            (1, "USR1 2 phase eval", RL_BEGINS),
            (1, "USR1 2 phase rollout", None),
            (1, "USR1 1 gate", None),
            (0, "USR1 1 phase eval", None),
            (1, "USR1 1 phase eval", None),
        ]
        for rank, fault, step in places:
            with self.subTest(rank=rank, fault=fault):
                self.stop_at(rank, fault, ranks=2 + rank)
                if step is not None:
                    self.assertEqual(self.newest(), step)
        self.assertEqual(self.run_to_end(MPIRUN, "-n", 2, "run", "a.yaml", "--run-dir", "stopped"), 0, self.output())
        self.assert_same_run("stopped", "whole")

    def test_in_the_split_layout_too(self):
        self.assertEqual(self.run_to_end(PROGRAM, "run", "a.yaml", "--run-dir", "whole"), 0, self.output())
        for rank, fault in [(0, "USR1 1 phase eval"), (0, "USR1 2 await a group of rollouts"), (0, "USR1 1 gate")]:
            with self.subTest(rank=rank, fault=fault):
                self.stop_at(rank, fault, *SPLIT, ranks=3)
        self.assertEqual(self.run_to_end(MPIRUN, "-n", 3, "run", "a.yaml", "--run-dir", "stopped", *SPLIT), 0, self.output())
        self.assert_same_run("stopped", "whole")


class Hangup(Launching):
    needs = ["mpirun"]

    def test_a_closed_terminal_saves_and_leaves_no_rank_behind(self):
        launcher = self.start("setsid", MPIRUN, "-n", 2, "run", "a.yaml", "--run-dir", "run", *ENDLESS)
        wait_until(lambda: self.steps("run"), "the first step")
        ranks = children_named(child_named(launcher.pid, "mpirun"), PROGRAM.name)
        self.assertEqual(len(ranks), 2)
        os.killpg(launcher.pid, signal.SIGHUP)  # as the kernel does to the foreground processes of a closed terminal
        self.assertEqual(self.end_of(launcher), 75, self.output())
        for rank in ranks:
            wait_until(lambda: not alive(rank), "the end of the rank")

    def test_it_is_told_before_a_rank_that_leaves_ends_the_others(self):
        mark = self.folder / "mark"
        command = [MPIRUN, "-n", 2, "run", "a.yaml", "--run-dir", "run", *ENDLESS]
        launcher = self.start(*command, TERSE_PROGRAM=str(FAULTY), TERSE_FAULT="0 STOP 1 left", TERSE_FAULT_MARK=str(mark))
        wait_until(lambda: self.steps("run"), "the first step")
        launcher.send_signal(signal.SIGUSR1)
        self.assertEqual(self.end_of(launcher), 75, self.output())
        self.assertTrue(mark.exists(), self.output())
        self.assertEqual(self.output().count("terse: the run was saved at step"), 1, self.output())

    def test_a_count_of_ranks_that_the_hangup_ends_does_not_end_the_launcher(self):
        programs, counted = self.folder / "bin", self.folder / "counted"
        programs.mkdir()
        # The first call of wc counts the cores, before there are ranks.
        (programs / "wc").write_text(f"#!/bin/sh\nif [ -e {counted} ]; then kill -HUP $$; fi\ntouch {counted}\nexec {shutil.which('wc')} \"$@\"\n")
        (programs / "wc").chmod(0o755)
        path = f"{programs}:{os.environ['PATH']}"
        self.assertEqual(self.run_to_end(MPIRUN, "-n", 2, "run", "a.yaml", "--run-dir", "run", PATH=path), 0, self.output())


class Alike(Launching):
    """Runs mpirun directly, with another command for each rank."""

    needs = ["mpirun"]

    def refused(self, first, second):
        root = ["--allow-run-as-root"] if os.getuid() == 0 else []
        command = [PROGRAM, "run", "a.yaml"]
        before = len(self.output()) if (self.folder / "output").exists() else 0
        code = self.run_to_end("mpirun", *root, "--oversubscribe", "-n", 1, *command, *first, ":", "-n", 1, *command, *second)
        said = self.output()[before:]
        self.assertEqual(code, 78, said)
        self.assertEqual(said.count("terse: "), 1, said)
        return said

    def test_other_values_are_named_with_their_ranks(self):
        for layout in ([], SPLIT):
            with self.subTest(layout=layout):
                said = self.refused([*layout, "--set", "sft.optimizer.lr=0.1"], [*layout, "--seed", "7"])
                self.assertRegex(said, r"run\.seed: 1 on rank 0 \(host \S+\); 7 on rank 1 \(host \S+\)")
                self.assertRegex(said, r"sft\.optimizer\.lr: 0\.1 on rank 0 .*; \S+ on rank 1")
        self.assertFalse((self.folder / "runs").exists())

    def test_other_stages_and_evaluations_are_refused(self):
        self.assertIn("stages", self.refused(["--set", "stages=[sft]"], []))
        self.assertIn("eval.samples", self.refused([], ["--set", "eval.samples=3"]))
        self.assertIn("sft.eval_every", self.refused([], ["--set", "sft.eval_every=1"]))

    def test_another_run_folder_is_refused(self):
        self.assertIn("run.dir", self.refused(["--run-dir", "one"], ["--run-dir", "other"]))


if __name__ == "__main__":
    unittest.main()
