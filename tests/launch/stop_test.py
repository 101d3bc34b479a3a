"""A stop request at any place of a run gives exit code 75 at once. Nothing is lost, and the resumed run gives the same numbers."""

import json
import signal
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from faults import FAULTY
from launching import PROGRAM, Launching, wait_until
from stopping import CONFIG, RL_BEGINS, RL_ENDS


PENDING = "the step has been saved, its record has not been written"


class Stops(Launching):

    def setUp(self):
        super().setUp()
        (self.folder / "a.yaml").write_text(CONFIG)
        (self.folder / "text.txt").write_text("3+2*5= 410 1 " * 80)
        (self.folder / "output").touch()

    def run_whole(self):
        self.assertEqual(self.run_to_end(PROGRAM, "run", "a.yaml", "--run-dir", "whole"), 0, self.output())

    def start_with(self, fault, *options):
        """Returns the exit code and the output of a start in which `fault` comes. self.came is true if it came."""
        mark = self.folder / "mark"
        mark.unlink(missing_ok=True)
        before = len(self.output())
        code = self.run_to_end(FAULTY, "run", "a.yaml", "--run-dir", "stopped", *options, TERSE_FAULT=f"0 {fault}", TERSE_FAULT_MARK=str(mark))
        self.came = mark.exists()
        return code, self.output()[before:]

    def stop_at(self, fault, *options):
        code, said = self.start_with(fault, *options)
        self.assertTrue(self.came, f"it did not come to {fault}: {said}")
        self.assertEqual(code, 75, f"{fault}: {said}")
        return said

    def newest(self, run="stopped"):
        """Returns the step of the newest checkpoint, or None."""
        latest = self.folder / run / "checkpoints" / "latest"
        return int(latest.read_text().removeprefix("step-")) if latest.exists() else None

    def is_pending(self):
        """Whether the newest checkpoint is of a step whose gate or evaluation was interrupted."""
        extra = self.folder / "stopped" / "checkpoints" / f"step-{self.newest()}" / "extra.json"
        return json.loads(extra.read_text())["progress"]["pending"] is not None

    def finish(self):
        self.assertEqual(self.run_to_end(PROGRAM, "run", "a.yaml", "--run-dir", "stopped"), 0, self.output())
        self.assert_same_run("stopped", "whole")
        self.assertEqual(self.run_to_end(PROGRAM, "verify", "stopped"), 0, self.output())

    def test_before_the_first_step_there_is_nothing_to_save(self):
        for fault in ("TERM 1 text", "HUP 1 phase pretrain"):
            with self.subTest(fault=fault):
                options = ["--set", "pretrain.steps=1000000"]
                said = self.stop_at(fault, *options)
                if "text" in fault:
                    self.assertIsNone(self.newest())
                    self.assertIn("nothing", said)
                self.assertNotIn("bug", said)
        self.assertEqual([start["ended"] for start in self.starts("stopped")], ["saved on a signal"] * 2)

    def test_at_every_kind_of_place_it_ends_the_same(self):
        self.run_whole()
        places = [
            ("TERM 1 text", None),
            ("USR1 6 phase pretrain", 6),  # the last step, whose validation comes before its record
            ("TERM 1 hash", 6),  # at the start, while the checkpoint is verified
            ("INT 25 phase sft", 31),
            ("TERM 30 token", None),  # in one of the evaluations
            ("HUP 1 phase eval", RL_BEGINS),  # the evaluation after fine-tuning
            ("TERM 12 token", RL_BEGINS),  # in the middle of it
            ("TERM 2 phase rollout", None),
            ("TERM 40 token", None),
            ("TERM 1 gate", PENDING),
            ("TERM 3 phase student", None),
            ("TERM 1 phase eval", PENDING),  # the quick evaluation of RL
            ("TERM 2 phase eval", RL_ENDS),  # the evaluation after RL
            ("TERM 2 phase eval", RL_ENDS),  # the stage `eval`
        ]
        for fault, step in places:
            with self.subTest(fault=fault):
                self.stop_at(fault)
                if step == PENDING:
                    self.assertTrue(self.is_pending())
                elif step is not None:
                    self.assertEqual(self.newest(), step)
        self.finish()

    def test_stopped_again_and_again_while_it_generates_it_ends_the_same(self):
        self.run_whole()
        stops = 0
        for tokens in range(7, 2000, 29):
            code, said = self.start_with(f"TERM {tokens} token")
            if not self.came:
                self.assertEqual(code, 0, said)
                break
            self.assertEqual(code, 75, said)
            stops += 1
        self.assertGreaterEqual(stops, 5)
        self.finish()

    def test_killed_during_an_evaluation_it_has_lost_no_step(self):
        self.run_whole()
        for fault, step in (("KILL 1 phase eval", RL_BEGINS - 60), ("KILL 2 phase eval", RL_BEGINS), ("KILL 20 phase update", RL_BEGINS)):
            with self.subTest(fault=fault):
                code, said = self.start_with(fault)
                self.assertEqual(code, -signal.SIGKILL, said)
                self.assertEqual(self.newest(), step)
        self.finish()

    def test_a_signal_while_the_report_is_written_does_not_change_that_it_is_done(self):
        code, said = self.start_with("TERM 1 report")
        self.assertTrue(self.came, said)
        self.assertEqual(code, 0, said)
        self.assertTrue((self.folder / "stopped/report.html").exists())

    def test_usr2_during_an_evaluation_saves_after_it_and_goes_on(self):
        code, said = self.start_with("USR2 1 phase eval")
        self.assertTrue(self.came)
        self.assertEqual(code, 0, said)


class Hangup(Launching):
    """The terminal is closed."""

    def hang_up(self, *command, **more):
        process = self.start(*command, "run", "a.yaml", "--run-dir", "run", "--set", "sft.steps=1000000", "--set", "checkpoint.every=0", **more)
        wait_until(lambda: self.steps("run"), "the first step")
        process.send_signal(signal.SIGHUP)
        return process

    def test_it_saves_and_stops(self):
        self.assertEqual(self.end_of(self.hang_up(PROGRAM)), 75, self.output())
        self.assertIn("saved at step", self.output())

    def test_under_nohup_it_goes_on(self):
        process = self.hang_up("nohup", PROGRAM)
        steps = self.steps("run")
        wait_until(lambda: self.steps("run") > steps + 20, "more steps")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.end_of(process), 75, self.output())


if __name__ == "__main__":
    unittest.main()
