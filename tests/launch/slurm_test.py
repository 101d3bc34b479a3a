"""Runs launch/slurm.sbatch on a real Slurm of one node: to the end, requeued and resumed bitwise, and in a crash loop that ends."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from faults import FAULTY
from launching import ENDLESS, LONG, PROGRAM, RANKS, ROOT, Launching, build_probe, freeze, places, thaw, wait_for_signal, wait_until

NODE = ROOT / "scripts" / "slurm_node.sh"
SBATCH = ROOT / "launch" / "slurm.sbatch"


def free_ports():
    """Returns the first of two consecutive ports that nobody listens on."""
    for port in range(16900, 17900, 2):
        try:
            with socket.create_server(("127.0.0.1", port)), socket.create_server(("127.0.0.1", port + 1)):
                return port
        except OSError:
            continue
    raise AssertionError("no two free ports")


class Slurm(Launching):
    needs = ["sbatch", "slurmctld", "slurmd", "munged", "mpicc", "ss"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory(prefix="terse-slurm-")
        cls.addClassCleanup(folder.cleanup)
        cls.node = Path(folder.name)
        cls.environment = {**os.environ, "SLURM_CONF": f"{folder.name}/slurm.conf", "SLURM_NODE_PORT": str(free_ports())}
        cls.addClassCleanup(cls.run_node, "stop")
        started = cls.run_node("start")
        assert started.returncode == 0, started.stdout + started.stderr

    @classmethod
    def run_node(cls, command):
        return subprocess.run([NODE, command, cls.node], env=cls.environment, capture_output=True, text=True)

    def slurm(self, *command, **environment):
        done = subprocess.run([str(c) for c in command], cwd=self.folder, env={**self.environment, **environment}, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout.strip()

    def submit(self, *arguments, options=(), ranks=RANKS, program=PROGRAM, **environment):
        """Submits the job to Slurm and returns its number."""
        job = self.slurm("sbatch", "--parsable", f"--ntasks={ranks}", *options, SBATCH, *arguments, TERSE_PROGRAM=str(program), **environment)
        self.addCleanup(lambda: subprocess.run(["scancel", job], env=self.environment))
        return job

    def about(self, job):
        """Returns what Slurm reports of a job: JobState, ExitCode, Restarts and so on."""
        return dict(re.findall(r"(\w+)=(\S*)", self.slurm("scontrol", "show", "job", job)))

    def log(self, job):
        return (self.folder / f"terse-{job}.log").read_text()

    def end_of_job(self, job):
        wait_until(lambda: self.about(job)["JobState"] in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"), "the end of the job")
        return self.about(job)

    def pid_of_start(self, run, number):
        """Returns the process of that start, once it is recorded. The first start has number 1."""
        wait_until(lambda: len(self.starts(run)) >= number, f"start {number}")
        return self.starts(run)[number - 1]["pid"]

    def assert_completed_like_an_undisturbed_run(self, job, run):
        about = self.end_of_job(job)
        self.assertEqual((about["JobState"], about["ExitCode"]), ("COMPLETED", "0:0"), self.log(job))
        self.assertEqual(about["Restarts"], "1", self.log(job))
        self.assertEqual(len(self.starts(run)), 2)
        self.end_of_job(self.submit("a.yaml", "--run-dir", "whole", *LONG))
        self.assert_same_run(run, "whole")

    def test_completes(self):
        for launcher in ("srun", "mpirun"):
            with self.subTest(launcher=launcher):
                job = self.submit("a.yaml", "--run-dir", launcher, TERSE_LAUNCHER=launcher)
                about = self.end_of_job(job)
                self.assertEqual((about["JobState"], about["ExitCode"], about["Restarts"]), ("COMPLETED", "0:0", "0"), self.log(job))
                self.assertEqual(subprocess.run([PROGRAM, "verify", launcher], cwd=self.folder, capture_output=True).returncode, 0)

    def test_a_bad_configuration_fails_at_once(self):
        job = self.submit("nowhere.yaml")
        about = self.end_of_job(job)
        self.assertEqual((about["JobState"], about["ExitCode"], about["Restarts"]), ("FAILED", "78:0", "0"), self.log(job))

    def test_before_its_time_is_over_it_saves_and_requeues_itself(self):
        job = self.submit("a.yaml", "--run-dir", "run", *LONG, options=["--time=1", "--signal=B:USR1@55"])
        pid = self.pid_of_start("run", 1)
        freeze(pid)
        wait_for_signal(pid)
        thaw(pid)
        wait_until(lambda: self.about(job)["Restarts"] == "1", "the requeue")
        self.assertIn("exit code 75: the job is requeued", self.log(job))
        self.slurm("scontrol", "update", f"JobId={job}", "TimeLimit=60")  # one interruption is enough
        self.assert_completed_like_an_undisturbed_run(job, "run")

    def test_requeued_by_slurm_it_saves_and_resumes(self):
        job = self.submit("a.yaml", "--run-dir", "run", *LONG)
        pid = self.pid_of_start("run", 1)
        wait_until(lambda: self.steps("run"), "the first step")
        freeze(pid)
        self.slurm("scontrol", "requeue", job)  # Slurm continues stopped processes, then sends SIGTERM
        wait_until(lambda: self.about(job)["Restarts"] == "1", "the requeue")
        self.assert_completed_like_an_undisturbed_run(job, "run")
        self.assertEqual(self.starts("run")[0]["ended"], "saved on a signal")

    def test_cancelled_it_saves_and_stays_away(self):
        job = self.submit("a.yaml", "--run-dir", "run", *ENDLESS)
        wait_until(lambda: self.steps("run"), "the first step")
        self.slurm("scancel", job)
        self.assertEqual(self.end_of_job(job)["JobState"], "CANCELLED")
        wait_until(lambda: "Slurm ended the job" in self.log(job), "the end of the script")
        self.assertEqual(self.starts("run")[0]["ended"], "saved on a signal")
        self.assertEqual(self.about(job)["Restarts"], "0")

    def test_a_crash_loop_ends(self):
        job = self.submit("a.yaml", "--run-dir", "run", *ENDLESS)
        for number in (1, 2, 3):
            os.kill(self.pid_of_start("run", number), signal.SIGKILL)
        about = self.end_of_job(job)
        self.assertEqual((about["JobState"], about["ExitCode"], about["Restarts"]), ("FAILED", "93:0", "3"), self.log(job))
        self.assertIn("--retry", self.log(job))
        self.assertEqual(len(self.starts("run")), 3)

    def test_a_task_that_is_stopped_when_it_has_left_mpi_is_ended(self):
        # The fault comes at every start. The job would be requeued for ever if a finished run still started ranks.
        fault = {"TERSE_FAULT": "1 STOP 1 end", "TERSE_FAULT_MARK": str(self.folder / "mark")}
        job = self.submit("a.yaml", "--run-dir", "run", program=FAULTY, SLURM_WAIT="3", **fault)
        about = self.end_of_job(job)
        self.assertEqual((about["JobState"], about["ExitCode"], about["Restarts"]), ("COMPLETED", "0:0", "1"), self.log(job))
        self.assertRegex(self.log(job), r"task 1: running\n(.*\n)*.*task 1: Killed")
        self.assertIn("exit code 137: the job is requeued", self.log(job))
        self.assertIn("run: already complete", self.log(job))

    def test_ranks_have_cores_of_their_own_and_nothing_listens_beyond_this_machine(self):
        probe = build_probe(self.folder)
        # The node may claim more processors than there are, but ranks are bound to real ones.
        job = self.submit(self.folder / "stop", ranks=2, program=probe)
        wait_until(lambda: (self.folder / f"terse-{job}.log").exists() and len(places(self.log(job))) == 2, "two ranks")
        sockets = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout.splitlines()
        first, second = places(self.log(job))
        self.slurm("scancel", "--signal=USR1", "--batch", job)
        wait_until(lambda: "exit code 75: the job is requeued" in self.log(job), "the end of the ranks")
        if len(os.sched_getaffinity(0)) > 1:
            self.assertFalse(set(first["cores"]) & set(second["cores"]))
        ours = [line.split() for line in sockets if re.search(r'"(slurm|srun|munge|mpi_probe)', line)]
        self.assertTrue(ours)
        for fields in ours:
            self.assertTrue(fields[3].startswith("127.0.0.1:"), fields)


class Node(Launching):
    needs = Slurm.needs

    def node(self, *arguments, **environment):
        code = self.run_to_end(NODE, *arguments, **environment)
        return code, self.output()

    def test_starts_and_stops_as_often_as_asked(self):
        ports = {"SLURM_NODE_PORT": str(free_ports())}
        folder = self.folder / "node"
        self.addCleanup(lambda: self.node("stop", folder))
        self.assertEqual(self.node("status", folder)[0], 1)
        for _ in range(2):
            self.assertEqual(self.node("start", folder, **ports)[0], 0, self.output())
        self.assertEqual(self.node("status", folder)[0], 0, self.output())
        other = self.node("start", self.folder / "other", **ports)
        self.assertEqual(other[0], 1)
        self.assertIn(f"port {ports['SLURM_NODE_PORT']} is in use", other[1])
        for _ in range(2):
            self.assertEqual(self.node("stop", folder)[0], 0, self.output())
        self.assertEqual(self.node("status", folder)[0], 1)

    def test_mistakes_are_refused(self):
        for arguments in ([], ["begin", "x"], ["start"], ["start", "x", "y"]):
            self.assertEqual(self.node(*arguments)[0], 64)


if __name__ == "__main__":
    unittest.main()
