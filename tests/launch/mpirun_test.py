"""Runs launch/mpirun.sh with the real mpirun: exit codes, signals that save, resuming, binding, and open ports."""

import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from launching import ENDLESS, LONG, MPIRUN, PROGRAM, RANKS, Launching, alive, build_probe, child_named, freeze, places, thaw, wait_for_signal, wait_until


class Runs(Launching):
    needs = ["mpirun"]

    def launch(self, run, *options):
        return self.start(MPIRUN, "-n", RANKS, "run", "a.yaml", "--run-dir", run, *options)

    def test_runs_to_the_end(self):
        self.assertEqual(self.end_of(self.launch("run")), 0, self.output())
        self.assertEqual(subprocess.run([PROGRAM, "verify", "run"], cwd=self.folder, capture_output=True).returncode, 0)
        self.assertEqual(self.end_of(self.launch("run")), 0, self.output())
        self.assertEqual(self.output().count("run: already complete"), 1, self.output())
        self.assertEqual(self.end_of(self.launch("run", "--set", "rl.steps=1")), 78, self.output())
        self.assertEqual(len(self.starts("run")), 1)

    def test_records_that_the_disk_refuses_to_sync_cost_checkpoints_but_not_the_run(self):
        quota = self.folder / "quota"
        (self.folder / "output").touch()
        odd = {"LD_PRELOAD": self.odd_file_system(), "QUOTA_WHILE": str(quota)}
        for name, asynchronous in (("background", "true"), ("waiting", "false")):
            with self.subTest(checkpoints=name):
                quota.touch()
                before = len(self.output())
                options = [*LONG, "--set", "checkpoint.every=3", "--set", f"checkpoint.async={asynchronous}"]
                launcher = self.start(MPIRUN, "-n", RANKS, "run", "a.yaml", "--run-dir", name, *options, **odd)
                wait_until(lambda: "checkpoint was not written" in self.output()[before:] or launcher.poll() is not None, "the refusal")
                quota.unlink()
                self.assertEqual(self.end_of(launcher), 0, self.output()[before:])
                self.assertIn("Disk quota exceeded", self.output()[before:])
        self.assert_same_run("background", "waiting")

    def test_stopped_by_a_signal_it_saves_and_ends_the_same(self):
        self.assertEqual(self.end_of(self.launch("whole", *LONG)), 0, self.output())
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
            run = number.name
            with self.subTest(signal=run):
                launcher = self.launch(run, *LONG)
                wait_until(lambda: self.steps(run), "the first step")
                pid = self.starts(run)[-1]["pid"]
                freeze(pid)
                launcher.send_signal(number)
                wait_for_signal(pid)
                thaw(pid)
                self.assertEqual(self.end_of(launcher), 75, self.output())
                self.assertLess(self.steps(run), self.steps("whole"))
                self.assertEqual(self.end_of(self.launch(run, *LONG)), 0, self.output())
                self.assert_same_run(run, "whole")

    def test_a_signal_while_it_starts_is_not_lost(self):
        launcher = self.launch("run", *ENDLESS)
        wait_until(lambda: child_named(launcher.pid, "mpirun"), "mpirun")  # the script sets its traps before it starts anything
        launcher.send_signal(signal.SIGTERM)
        self.assertEqual(self.end_of(launcher), 75, self.output())

    def test_usr2_saves_and_goes_on(self):
        launcher = self.launch("run", *ENDLESS)
        wait_until(lambda: self.steps("run"), "the first step")
        launcher.send_signal(signal.SIGUSR2)
        wait_until(lambda: (self.folder / "run/checkpoints/latest").exists(), "a checkpoint")
        self.assertIsNone(launcher.poll())
        launcher.send_signal(signal.SIGUSR1)
        self.assertEqual(self.end_of(launcher), 75, self.output())

    def test_a_second_interrupt_ends_it_at_once(self):
        launcher = self.launch("run", *ENDLESS)
        wait_until(lambda: self.steps("run"), "the first step")
        pid = self.starts("run")[-1]["pid"]
        freeze(pid)  # so this rank never saves
        launcher.send_signal(signal.SIGINT)
        wait_for_signal(pid)
        launcher.send_signal(signal.SIGINT)
        self.assertEqual(self.end_of(launcher), 130, self.output())
        wait_until(lambda: not alive(pid), "the end of the rank")

    def test_the_program_s_exit_code_is_passed_on(self):
        self.assertEqual(self.run_to_end(MPIRUN, "-n", RANKS, "run", "nowhere.yaml"), 78, self.output())
        self.assertIn("nowhere.yaml", self.output())


class Ranks(Launching):
    """Tests how several ranks are started. An MPI program takes the place of terse and prints its rank and cores."""

    needs = ["mpirun", "mpicc", "ss"]

    def launch(self, ranks, *options):
        self.probe = build_probe(self.folder)
        return self.start(MPIRUN, "-n", ranks, *options, "stop", TERSE_PROGRAM=str(self.probe))

    def places(self, ranks):
        wait_until(lambda: len(places(self.output())) == ranks, "all ranks")
        return places(self.output())

    def stop(self, launcher):
        (self.folder / "stop").touch()
        self.assertEqual(self.end_of(launcher), 0, self.output())

    def test_each_rank_has_its_share_of_the_cores(self):
        cores = os.sched_getaffinity(0)
        launcher = self.launch(2)
        first, second = (set(place["cores"]) for place in self.places(2))
        self.stop(launcher)
        self.assertTrue(first and second and first | second <= cores)
        if len(cores) > 1:
            self.assertFalse(first & second)

    def test_more_ranks_than_cores_take_turns_and_it_says_so(self):
        ranks = len(os.sched_getaffinity(0)) + 1
        launcher = self.launch(ranks)
        self.assertEqual([place["size"] for place in self.places(ranks)], [ranks] * ranks)
        self.stop(launcher)
        self.assertIn(f"{ranks} ranks share", self.output())

    def test_all_ranks_are_asked_to_stop(self):
        launcher = self.launch(2)
        self.places(2)
        launcher.send_signal(signal.SIGTERM)
        self.assertEqual(self.end_of(launcher), 75, self.output())

    def test_on_one_machine_no_rank_listens(self):
        launcher = self.launch(2)
        ranks = {place["pid"] for place in self.places(2)}
        sockets = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout.splitlines()
        self.stop(launcher)
        listening = [line for line in sockets if any(f"pid={pid}," in line for pid in ranks)]
        self.assertEqual(listening, [])


class Usage(Launching):
    needs = ["mpirun"]

    def refused(self, *options, **environment):
        self.assertEqual(self.run_to_end(MPIRUN, *options, **environment), 64, self.output())
        return self.output()

    def test_mistakes_are_refused(self):
        self.assertIn("no-such-option", self.refused("--no-such-option"))
        self.assertIn("'two'", self.refused("-n", "two", "run", "a.yaml"))
        self.assertIn("needs a value", self.refused("-n"))
        self.assertIn("the arguments of terse are missing", self.refused("-n", "1"))
        self.assertIn("/nowhere/terse does not exist", self.refused("-n", "1", "run", TERSE_PROGRAM="/nowhere/terse"))


if __name__ == "__main__":
    unittest.main()
