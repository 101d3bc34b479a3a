"""Tests the surroundings of the program: closed descriptors, readers and terminals that go away, limits of the shell, odd file systems, and a
missing working folder."""

import os
import re
import resource
import signal
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from launching import PROGRAM, Launching, wait_until


class Surroundings(Launching):
    needs = ["gcc"]

    def run_in(self, run, *options, **more):
        """Runs terse to its end and returns the finished process."""
        command = [PROGRAM, "run", "a.yaml", "--run-dir", run, *options]
        return subprocess.run([str(c) for c in command], cwd=self.folder, capture_output=True, text=True, **more)

    def assert_sound(self, run):
        done = subprocess.run([PROGRAM, "verify", run], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_closed_descriptors_put_nothing_into_the_files(self):
        for closed in ("<&- >&- 2>&-", "<&- >&-", "2>&-", ">&-"):
            with self.subTest(closed=closed):
                run = f"run{len(list(self.folder.iterdir()))}"
                code = subprocess.run(["sh", "-c", f'"$0" run a.yaml --run-dir {run} {closed}', PROGRAM], cwd=self.folder).returncode
                self.assertEqual(code, 0)
                self.assert_sound(run)
                self.assertTrue((self.folder / run / "metrics.jsonl").read_text().startswith('{"time"'))

    @unittest.skipUnless(Path("/sys/kernel/mm/transparent_hugepage").exists(), "this system has no transparent huge pages")
    def test_large_tensors_ask_for_huge_pages(self):
        for environment, asks in (({}, True), ({"THP_MEM_ALLOC_ENABLE": "0"}, False)):
            with self.subTest(environment=environment):
                command = [PROGRAM, "bench", "--seconds", "0.2", "--device", "cpu"]
                bench = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
                asked = False
                while bench.poll() is None and not asked:
                    flags = re.findall(r"^VmFlags:(.*)$", Path(f"/proc/{bench.pid}/smaps").read_text(), re.MULTILINE)
                    asked = any("hg" in each.split() for each in flags)
                bench.kill()
                bench.wait()
                self.assertEqual(asked, asks)

    def test_a_reader_that_goes_away_is_no_error(self):
        self.assertEqual(self.run_in("run").returncode, 0)
        command = f'"{PROGRAM}" generate run "3+4=" --samples 2000 --max-new-tokens 4'
        for reader in ("head -1", "true"):
            with self.subTest(reader=reader):
                done = subprocess.run(["bash", "-c", f"{command} | {reader}; exit ${{PIPESTATUS[0]}}"], cwd=self.folder, capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_a_reader_that_goes_away_hides_no_defect(self):
        self.assertEqual(self.run_in("run").returncode, 0)
        (self.folder / "run" / "metrics.jsonl").write_text("no record\n")
        command = f'"{PROGRAM}" verify run | true; exit ${{PIPESTATUS[0]}}'
        self.assertEqual(subprocess.run(["bash", "-c", command], cwd=self.folder).returncode, 65)

    def test_results_that_cannot_be_written_are_an_error(self):
        for target in (">/dev/full", "1</dev/null"):
            with self.subTest(target=target):
                done = subprocess.run(["sh", "-c", f'"{PROGRAM}" config print a.yaml {target}'], cwd=self.folder, capture_output=True, text=True)
                self.assertEqual(done.returncode, 74)
                self.assertIn("standard output", done.stderr)
                self.assertNotIn("bug", done.stderr)

    def test_a_finished_run_is_done_whoever_reads_its_last_lines(self):
        for target in (">/dev/full", "1</dev/null", "| true", "2>/dev/full", "2>&1 | true"):
            with self.subTest(target=target):
                run = f"run{len(list(self.folder.iterdir()))}"
                command = f'"{PROGRAM}" run a.yaml --run-dir {run} {target}; exit ${{PIPESTATUS[0]}}'
                self.assertEqual(subprocess.run(["bash", "-c", command], cwd=self.folder, capture_output=True).returncode, 0)
                self.assertEqual(self.run_in(run).returncode, 0)

    def test_a_run_whose_terminal_is_gone_goes_on_to_its_end(self):
        master, slave = os.openpty()
        process = subprocess.Popen([PROGRAM, "run", "a.yaml", "--run-dir", "run", "--set", "sft.steps=300"], cwd=self.folder, stdin=slave, stdout=slave, stderr=slave)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        os.close(slave)
        wait_until(lambda: self.steps("run"), "the first step")
        os.close(master)  # every write fails from now on
        self.assertEqual(self.end_of(process), 0)
        self.assert_sound("run")

    def test_a_limit_on_the_size_of_files_is_named(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (20 << 10, 20 << 10))

        done = self.run_in("run", "--set", "model.hidden_size=64", preexec_fn=limit)
        self.assertEqual(done.returncode, 74, done.stderr)
        self.assertIn("ulimit -f", done.stderr)

    def test_a_limit_on_memory_that_leaves_no_room_for_threads_is_named(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (500 << 20, 500 << 20))

        done = self.run_in("run", "--set", "run.threads=8", preexec_fn=limit)
        self.assertEqual(done.returncode, 71, done.stderr)
        self.assertIn("ulimit -v", done.stderr)
        self.assertNotIn("bug", done.stderr)

    def test_a_file_system_that_cannot_sync_folders_or_count_its_room_will_do(self):
        library = self.odd_file_system()
        for trait in ("NO_FOLDER_SYNC", "NO_FREE_SPACE"):
            with self.subTest(trait=trait):
                done = self.run_in(trait, env={**os.environ, "LD_PRELOAD": library, trait: "1"})
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertNotIn("not written", done.stderr)
                self.assert_sound(trait)

    def test_a_working_folder_that_is_gone_is_named(self):
        command = f'mkdir gone && cd gone && rmdir ../gone && "{PROGRAM}" doctor'
        done = subprocess.run(["sh", "-c", command], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 64, done.stdout + done.stderr)
        self.assertIn("working folder", done.stderr)
        self.assertNotIn("oneMKL", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
