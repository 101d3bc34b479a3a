"""All scripts have a valid syntax, print --help and reject unknown options. The number of parallel compilers fits into memory."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
LAUNCHERS = SCRIPTS.parent / "launch"
PROGRAMS = ["setup.sh", "quickstart.sh", "test.sh", "format.sh", "smoke_gpu.sh", "update_config_docs.sh", "check_includes", "check_writers",
            "slurm_node.sh", "mutate.sh", "bench_peers.sh"]


def run(*command, **environment):
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


class Scripts(unittest.TestCase):
    def test_every_shell_script_parses(self):
        for script in [*SCRIPTS.glob("*.sh"), *LAUNCHERS.glob("*.sh"), *LAUNCHERS.glob("*.sbatch"), SCRIPTS.parent / ".ci" / "run"]:
            with self.subTest(script=script.name):
                self.assertEqual(run("bash", "-n", script), (0, ""))

    def test_every_program_explains_itself(self):
        for name in PROGRAMS:
            with self.subTest(script=name):
                code, output = run(SCRIPTS / name, "--help")
                self.assertEqual(code, 0, output)
                self.assertIn(f"scripts/{name}", output)
                self.assertNotIn("set -euo", output)

    def test_an_unknown_option_is_refused(self):
        # quickstart.sh passes unknown options on to `terse run`, which rejects them.
        for name in PROGRAMS:
            if name != "quickstart.sh":
                with self.subTest(script=name):
                    self.assertEqual(run(SCRIPTS / name, "--no-such-option")[0], 64)

    def test_launchers_explain_themselves(self):
        code, output = run(LAUNCHERS / "mpirun.sh", "--help")
        self.assertEqual(code, 0, output)
        self.assertIn("launch/mpirun.sh", output)
        self.assertNotIn("set -euo", output)
        code, output = run(LAUNCHERS / "slurm.sbatch", "a.yaml", SLURM_JOB_ID="")
        self.assertEqual(code, 64)
        self.assertIn("sbatch launch/slurm.sbatch CONFIG", output)

    def test_format_refuses_without_the_pinned_formatter(self):
        with tempfile.TemporaryDirectory(prefix="terse-scripts-") as empty:
            code, output = run(SCRIPTS / "format.sh", "--check", TERSE_CACHE=empty)
        self.assertEqual(code, 1)
        self.assertIn("run scripts/setup.sh", output)

    def test_smoke_gpu_says_when_there_is_no_gpu(self):
        with tempfile.TemporaryDirectory(prefix="terse-scripts-") as folder:
            blind = Path(folder) / "nvidia-smi"
            blind.write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n")
            blind.chmod(0o755)
            code, output = run(SCRIPTS / "smoke_gpu.sh", PATH=f"{folder}:/usr/bin:/bin")
        self.assertEqual(code, 1)
        self.assertIn("No devices were found", output)


class BuildJobs(unittest.TestCase):
    def jobs(self, mem_available_kib, cpus, limit="max"):
        with tempfile.TemporaryDirectory(prefix="terse-scripts-") as folder:
            (Path(folder) / "meminfo").write_text(f"MemTotal: 99999999 kB\nMemAvailable: {mem_available_kib} kB\n")
            (Path(folder) / "limit").write_text(f"{limit}\n")
            script = f'. "{SCRIPTS}/common.sh"; nproc() {{ echo {cpus}; }}; build_jobs "{folder}/meminfo" "{folder}/limit"'
            code, output = run("bash", "-eu", "-c", script)
        self.assertEqual(code, 0, output)
        return int(output)

    def test_as_many_as_processors_when_memory_allows(self):
        self.assertEqual(self.jobs(64 << 20, 8), 8)

    def test_as_many_as_fit_in_memory(self):
        self.assertEqual(self.jobs(8 << 20, 16), 3)

    def test_at_least_one(self):
        self.assertEqual(self.jobs(1 << 20, 4), 1)

    def test_a_container_limit_counts(self):
        self.assertEqual(self.jobs(64 << 20, 16, limit=6 << 30), 2)


if __name__ == "__main__":
    unittest.main()
