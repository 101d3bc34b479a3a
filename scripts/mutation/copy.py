"""A copy of the tree with its own build. One mutant at a time is built and tested in it.

Where the system allows it (see can_cover), the commands of a copy see it at the path of the repository itself. Then the compiler gets the
same paths as in an ordinary build, so ccache has nearly everything, and no mutant can reach the user's tree.
"""

import hashlib
import shutil
import subprocess
import time
from pathlib import Path

from .areas import AREAS, levels
from .baseline import HERE
from .mutants import Mutant
from .processes import Commands


class CopyFailed(Exception):
    pass


def git(*arguments):
    done = subprocess.run(["git", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise CopyFailed(f"git {' '.join(map(str, arguments))} failed:\n{done.stderr}")
    return done.stdout


def hash_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Copy:
    def __init__(self, folder: Path, place: Path, processors, stop, cores, levels=levels):
        self.folder, self.place = folder, place  # where it is, and where its commands see it
        self.build = folder / "build"
        self.processors = processors
        self.levels = levels  # a function: which areas test a mutant of a folder, in order
        self.cores = cores  # tests that bind cores hold this lock
        self.commands = Commands(folder, place, stop)
        self.objects = {}  # the hash of each object file of the unchanged code

    def prepare(self, repository, commit, configure, areas):
        if not (self.folder / ".git").exists():
            git("clone", "--quiet", "--no-checkout", repository, self.folder)
        git("-C", repository, "push", "--quiet", "--force", self.folder, f"{commit}:refs/heads/mutation")
        git("-C", self.folder, "checkout", "--quiet", "--force", "--detach", commit)
        linker = ["-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=lld"] if shutil.which("ld.lld") else []
        self._require(["cmake", "--preset", "release", *configure, *linker])
        self._require(self._ninja([target for area in areas for target in AREAS[area].targets]))
        self.objects = {path: hash_of(path) for path in self.build.rglob("*.o")}

    def run_step(self, step, seconds):
        command = [part.replace(HERE, str(self.place)) for part in step.command]
        environment = [part.replace(HERE, str(self.place)) for part in step.environment]
        if step.tests:
            (self.build / "flags.txt").write_text(f"--gtest_fail_fast\n--gtest_filter={':'.join(step.tests)}\n")
            command.append(f"--gtest_flagfile={self.place}/build/flags.txt")
        if not step.exclusive:
            return self.commands.run(command, seconds, environment)
        with self.cores:
            return self.commands.run(command, seconds, environment)

    def judge(self, mutant: Mutant, baseline, areas=None):
        """Returns what becomes of a mutant: {"verdict": killed, survived, equivalent or not compiled, ...}."""
        path = self.folder / mutant.file
        original = path.read_text()
        start = time.monotonic()
        try:
            path.write_text(mutant.quiet_text())
            outcome = self._judge_built(mutant, baseline, areas or self.levels(mutant.file.split("/")[0]))
        finally:
            path.write_text(original)
        return {**outcome, "seconds": round(time.monotonic() - start, 1)}

    def _judge_built(self, mutant, baseline, areas):
        started, build_seconds, changed = time.time(), 0.0, False
        for area in areas:
            begin = time.monotonic()
            status, output = self.commands.run(self._ninja(AREAS[area].targets))
            build_seconds += time.monotonic() - begin
            build = {"build_seconds": round(build_seconds, 1)}
            if status != 0:
                return {"verdict": "not compiled", "why": first_error(output), **build}
            changed = changed or self._objects_differ(started)
            if not changed and mutant.file.endswith(".cpp"):
                return {"verdict": "equivalent", "why": "the object code is the same", **build}
            for step in baseline.steps(area, mutant.file) if changed else []:
                status, output = self.run_step(step, step.limit())
                if status != 0:
                    return {"verdict": "killed", "by": killer(step, status, output), "level": area, **build}
        if not changed:
            return {"verdict": "equivalent", "why": "the object code is the same", **build}
        return {"verdict": "survived", **build}

    def _objects_differ(self, since):
        rebuilt = (path for path in self.build.rglob("*.o") if path.stat().st_mtime >= since)
        return any(self.objects.get(path) != hash_of(path) for path in rebuilt)

    def _ninja(self, targets):
        return ["ninja", "-C", "build", "-j", str(self.processors), *targets]

    def _require(self, command):
        status, output = self.commands.run(command)
        if status != 0:
            raise CopyFailed(f"{' '.join(command)} ended with {status} in {self.folder}:\n{output[-3000:]}")


def first_error(output):
    lines = [line for line in output.splitlines() if " error: " in line or "FAILED:" in line]
    errors = [line for line in lines if " error: " in line]
    return (errors or lines or output.splitlines()[-1:] or ["no output"])[0][:300]


def killer(step, status, output):
    """Returns the test that noticed the mutant, and how."""
    lines = output.splitlines()
    begun = [line.split("] ")[1].split(",")[0].strip() for line in lines if line.startswith("[ RUN      ] ")]
    failed = [line.split("] ")[1].split(",")[0].split(" (")[0].strip() for line in lines if line.startswith("[  FAILED  ] ")]
    test = f" {(failed or begun[-1:] or ['before the first test'])[0]}" if step.tests else ""
    how = " (hangs)" if status is None else "" if failed or not step.tests or status == 1 else f" (ends with {status})"
    return f"{step.name}{test}{how}"
