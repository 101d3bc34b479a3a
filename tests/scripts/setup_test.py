"""scripts/setup.sh on a simulated machine. Package manager, Python and disk are test doubles that record their calls.

The tests check that a partly unpacked LibTorch never looks complete, that a complete installation needs no network, and that --check
changes nothing.
"""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SETUP = Path(__file__).resolve().parents[2] / "scripts" / "setup.sh"

# Replaces `python3 -m pip download`, `-m venv` and `-m zipfile`. It fails (FAIL) or kills its parent (KILL) where the test asks for it.
PYTHON = """\
#!{python}
import os, signal, sys, zipfile
args = sys.argv[1:]
def record(text):
    open(os.environ["RECORD"], "a").write(text + "\\n")
def trouble(what):
    if os.environ.get("FAIL") == what:
        sys.exit(1)
    if os.environ.get("KILL") == what:
        os.kill(os.getppid(), signal.SIGKILL)
        sys.exit(1)
if args[:3] == ["-m", "pip", "download"]:
    line = open(args[args.index("--requirement") + 1]).read().split()
    name = line[0].split("==")[0]
    record("download " + name)
    trouble("download " + name)
    assert line[1].startswith("--hash=sha256:") and "--require-hashes" in args
    wheel = os.path.join(args[args.index("--dest") + 1], name + ".whl")
    if os.path.exists(wheel):
        record("kept " + name)
    with zipfile.ZipFile(wheel, "w") as z:
        z.writestr(name + "/lib/" + name + ".so", name)
        if name == "torch":
            z.writestr("torch/lib/libtorch_cpu.so", "library")
elif args[:2] == ["-m", "zipfile"]:
    record("unpack " + os.path.basename(args[3]))
    with zipfile.ZipFile(args[3]) as z:
        for member in z.namelist():
            z.extract(member, args[4])
            trouble("unpack " + member)
elif args[:2] == ["-m", "venv"]:
    record("venv")
    os.makedirs(args[2] + "/bin")
    for tool in ("python", "pip"):
        with open(args[2] + "/bin/" + tool, "w") as f:
            f.write("#!/bin/sh\\necho " + tool + " >>$RECORD\\n[ \\"$FAIL\\" != " + tool + " ]\\n")
        os.chmod(args[2] + "/bin/" + tool, 0o755)
else:
    sys.exit("unexpected: python3 " + " ".join(args))
"""


class Setup(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="terse-setup-")
        self.addCleanup(folder.cleanup)
        self.home = Path(folder.name)
        self.cache = self.home / "cache"
        self.bin = self.home / "bin"
        self.bin.mkdir()
        self.record = self.home / "record"
        self.program("python3", PYTHON.format(python=sys.executable))
        self.program("dpkg-query", "#!/bin/sh\necho install ok installed\n")
        self.program("apt-get", '#!/bin/sh\necho "apt-get $*" >>"$RECORD"\n')
        self.program("df", "#!/bin/sh\necho Avail\necho 100\n")
        self.program("id", "#!/bin/sh\necho 0\n")

    def program(self, name, text):
        file = self.bin / name
        file.write_text(text)
        file.chmod(0o755)

    def run_setup(self, *args, **environment):
        self.record.write_text("")
        env = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": str(self.home),
            "TERSE_CACHE": str(self.cache),
            "RECORD": str(self.record),
            **environment,
        }
        run = subprocess.run([SETUP, *args], env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return run.returncode, run.stdout + run.stderr

    def calls(self):
        return [line for line in self.record.read_text().splitlines() if line != "python"]

    def library(self):
        return self.cache / "libtorch-2.11.0/torch/lib/libtorch_cpu.so"

    def test_installs_then_needs_nothing_more(self):
        code, output = self.run_setup("--cpu")
        self.assertEqual(code, 0, output)
        self.assertEqual(self.library().read_text(), "library")
        self.assertIn("download torch", self.calls())
        self.assertNotIn("download nvidia-cublas", self.calls())
        code, output = self.run_setup("--cpu")
        self.assertEqual(code, 0, output)
        self.assertEqual(self.calls(), [], "the second run must not touch the network")
        self.assertEqual(sorted(p.name for p in self.cache.iterdir()), [".lock", "libtorch-2.11.0", "test-venv"])

    def test_check_changes_nothing(self):
        code, output = self.run_setup("--check", "--cuda")
        self.assertEqual(code, 1)
        self.assertIn("missing: LibTorch 2.11.0 (cpu part)", output)
        self.assertIn("missing: LibTorch 2.11.0 (cuda part)", output)
        self.assertIn("missing: Python environment", output)
        self.assertIn("3 thing(s) missing", output)
        self.assertFalse(self.cache.exists())
        self.assertEqual(self.calls(), [])

    def test_check_passes_once_all_is_there(self):
        self.run_setup("--cpu")
        self.assertEqual(self.run_setup("--check", "--cpu")[0], 0)
        self.assertEqual(self.run_setup("--check", "--cuda")[0], 1)

    def test_cuda_part_joins_the_cpu_part(self):
        self.run_setup("--cpu")
        code, output = self.run_setup("--cuda")
        self.assertEqual(code, 0, output)
        self.assertNotIn("download torch", self.calls())
        self.assertTrue((self.cache / "libtorch-2.11.0/nvidia-cublas/lib/nvidia-cublas.so").exists())
        self.assertTrue(self.library().exists())

    def test_a_killed_download_goes_on_with_what_arrived(self):
        self.run_setup("--cpu", KILL="download nvidia-cuda-cupti")
        self.assertFalse(self.library().exists())
        self.assertEqual(self.run_setup("--check", "--cpu")[0], 1)
        code, output = self.run_setup("--cpu")
        self.assertEqual(code, 0, output)
        self.assertIn("kept torch", self.calls())

    def test_killed_while_unpacking_never_looks_ready(self):
        for member in ("torch/lib/torch.so", "torch/lib/libtorch_cpu.so", "nvidia-cuda-runtime/lib/nvidia-cuda-runtime.so"):
            with self.subTest(member=member):
                self.run_setup("--cpu", KILL=f"unpack {member}")
                self.assertFalse(self.library().exists())
                self.assertEqual(self.run_setup("--check", "--cpu")[0], 1)
        self.assertEqual(self.run_setup("--cpu")[0], 0)
        self.assertEqual([p.name for p in self.cache.glob("partial.*")], [])

    def test_killed_in_the_cuda_part_leaves_the_cpu_part_ready(self):
        self.run_setup("--cpu")
        self.run_setup("--cuda", KILL="unpack nvidia-cudnn-cu13/lib/nvidia-cudnn-cu13.so")
        self.assertEqual(self.run_setup("--check", "--cpu")[0], 0)
        self.assertEqual(self.run_setup("--check", "--cuda")[0], 1)
        self.assertEqual(self.run_setup("--cuda")[0], 0)

    def test_a_failed_download_says_what_and_how_to_go_on(self):
        code, output = self.run_setup("--cpu", FAIL="download torch")
        self.assertEqual(code, 1)
        self.assertIn("could not fetch torch==2.11.0", output)

    def test_an_unmarked_or_outdated_libtorch_is_replaced_whole(self):
        self.run_setup("--cpu")
        (self.cache / "libtorch-2.11.0/.terse-cpu-2.11.0").write_text("torch==2.11.0 --hash=sha256:other\n")
        (self.cache / "libtorch-2.11.0/stale").write_text("")
        self.assertEqual(self.run_setup("--check", "--cpu")[0], 1)
        self.assertEqual(self.run_setup("--cpu")[0], 0)
        self.assertFalse((self.cache / "libtorch-2.11.0/stale").exists())

    def test_a_failed_test_environment_is_not_taken_for_complete(self):
        self.assertEqual(self.run_setup("--cpu", FAIL="pip")[0], 1)
        self.assertEqual(self.run_setup("--check", "--cpu")[0], 1)
        self.assertEqual(self.run_setup("--cpu")[0], 0)

    def test_a_broken_interpreter_rebuilds_the_test_environment(self):
        self.run_setup("--cpu")
        (self.cache / "test-venv/bin/python").unlink()
        self.assertEqual(self.run_setup("--cpu")[0], 0)
        self.assertIn("venv", self.calls())

    def test_too_little_disk_is_told_before_the_download(self):
        self.program("df", "#!/bin/sh\necho Avail\necho 1\n")
        code, output = self.run_setup("--cpu")
        self.assertEqual(code, 74)
        self.assertIn("1 GB free", output)
        self.assertEqual(self.calls(), [])

    def test_own_libtorch_is_used_or_missed_but_never_written(self):
        own = self.home / "own"
        (own / "torch/lib").mkdir(parents=True)
        code, output = self.run_setup("--cpu", TERSE_LIBTORCH=str(own))
        self.assertEqual(code, 1)
        self.assertIn("TERSE_LIBTORCH", output)
        (own / "torch/lib/libtorch_cpu.so").write_text("mine")
        code, output = self.run_setup("--cpu", TERSE_LIBTORCH=str(own))
        self.assertEqual(code, 0, output)
        self.assertNotIn("download torch", self.calls())

    def test_missing_packages_are_installed_and_a_broken_source_does_not_stop_it(self):
        self.program("dpkg-query", '#!/bin/sh\n[ "$3" = ninja-build ] || echo install ok installed\n')
        self.program("apt-get", '#!/bin/sh\necho "apt-get $*" >>"$RECORD"\n[ "$1" != update ]\n')
        code, output = self.run_setup("--cpu")
        self.assertEqual(code, 0, output)
        self.assertTrue(any("install" in call and call.endswith(" ninja-build") for call in self.calls()), self.calls())

    def test_packages_that_cannot_be_installed_are_named(self):
        self.program("dpkg-query", '#!/bin/sh\n[ "$3" = ninja-build ] || echo install ok installed\n')
        self.program("apt-get", "#!/bin/sh\nexit 100\n")
        code, output = self.run_setup("--cpu")
        self.assertEqual(code, 1)
        self.assertIn("could not install: ninja-build", output)

    def test_a_missing_browser_path_is_told(self):
        code, output = self.run_setup("--cpu", "--check", CHROMIUM="/nowhere/chromium")
        self.assertEqual(code, 1)
        self.assertIn("CHROMIUM=/nowhere/chromium", output)

    def test_usage(self):
        self.assertEqual(self.run_setup("--gpu")[0], 64)
        code, output = self.run_setup("--help")
        self.assertEqual(code, 0)
        self.assertIn("--check", output)
        self.assertNotIn("set -euo", output)


if __name__ == "__main__":
    unittest.main()
