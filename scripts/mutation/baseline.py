"""Runs the tests of the unchanged code and records how long each takes. This sets the time limits and the order of the tests."""

import json
import re
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .areas import AREAS, program

QUICK = 1.0  # tests below this many seconds run before the others
SLACK = 60.0  # seconds that any step may take in addition, because the machine may be busy
HERE = "{copy}"  # stands for the folder of a copy in a stored command


@dataclass
class Step:
    """One run of a GoogleTest program with some of its tests, or one other entry of ctest."""

    name: str
    command: list
    seconds: float
    tests: list = field(default_factory=list)
    environment: list = field(default_factory=list)
    exclusive: bool = False  # the test binds cores, so no other such test may run

    def limit(self):
        return SLACK + 5 * self.seconds


class BaselineFailed(Exception):
    pass


def mirrors(test, source):
    """Whether a test file belongs to a source, as optimizer_fused_test.cpp belongs to optimizer.cpp."""
    return bool(test) and re.sub(r"_test$", "", Path(test).stem).startswith(Path(source).stem)


class Baseline:
    def __init__(self, programs, commands):
        self.programs = programs  # {area: {test: [seconds, file]}}
        self.commands = commands  # {area: [Step]}

    def steps(self, area, source):
        """Yields the steps of an area for a mutant of `source`: the tests that mirror it, then the quick ones, then the others."""
        tests = self.programs.get(area, {})
        mirrored = [name for name, (_, file) in tests.items() if mirrors(file, source)]
        quick = [name for name, (seconds, _) in tests.items() if seconds < QUICK and name not in mirrored]
        slow = [name for name in tests if name not in mirrored and name not in quick]
        for group in (mirrored, quick, sorted(slow, key=lambda name: tests[name][0])):
            if group:
                seconds = sum(tests[name][0] for name in group)
                yield Step(program(area), [f"{HERE}/build/tests/{program(area)}"], seconds, group)
        yield from self.commands.get(area, [])

    def save(self, path):
        commands = {area: [asdict(step) for step in steps] for area, steps in self.commands.items()}
        path.write_text(json.dumps({"programs": self.programs, "commands": commands}, indent=1))

    @staticmethod
    def load(path):
        stored = json.loads(path.read_text())
        return Baseline(stored["programs"], {area: [Step(**step) for step in steps] for area, steps in stored["commands"].items()})


def measure(copy, areas, say):
    """Runs every test of the areas in an unchanged copy. Raises BaselineFailed when one fails."""
    programs, commands = {}, {}
    for area in areas:
        say(f"running the tests of {area}/ on the unchanged code")
        record = "build/tests.json"
        status, output = copy.commands.run([f"build/tests/{program(area)}", f"--gtest_output=json:{record}"])
        if status != 0:
            raise BaselineFailed(f"{program(area)} fails on the unchanged code:\n{output[-3000:]}")
        programs[area] = {}
        for suite in json.loads((copy.folder / record).read_text())["testsuites"]:
            for test in suite["testsuite"]:
                programs[area][f"{suite['name']}.{test['name']}"] = [float(test["time"].rstrip("s")), test.get("file", "")]
    for area in areas:
        commands[area] = []
        if AREAS[area].commands != "$^":
            for step in listed_commands(copy, AREAS[area].commands):
                start = time.monotonic()
                status, output = copy.run_step(step, None)
                if status != 0:
                    raise BaselineFailed(f"{step.name} fails on the unchanged code:\n{output[-3000:]}")
                step.seconds = time.monotonic() - start
                commands[area].append(step)
    return Baseline(programs, commands)


def listed_commands(copy, regex):
    _, output = copy.commands.run(["ctest", "--test-dir", "build", "--show-only=json-v1", "-R", regex])
    for test in json.loads(output[output.index("{") :])["tests"]:
        properties = {entry["name"]: entry["value"] for entry in test["properties"]}
        yield Step(
            test["name"],
            [part.replace(str(copy.place), HERE) for part in test["command"]],
            0,
            environment=[entry.replace(str(copy.place), HERE) for entry in properties.get("ENVIRONMENT", [])],
            exclusive=bool(properties.keys() & {"RESOURCE_LOCK", "RUN_SERIAL"}),
        )
