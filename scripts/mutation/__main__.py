"""The program behind scripts/mutate.sh."""

import argparse
import queue
import signal
import sys
import threading
from pathlib import Path

from . import baseline, report
from .areas import ABOVE, AREAS, levels
from .copy import Copy, CopyFailed
from .copy import git as run_git
from .mutants import draw, lines_of, make
from .operators import option_defaults
from .processes import Stopped, can_cover

REPOSITORY = Path(__file__).resolve().parents[2]
ACCEPTED = REPOSITORY / "tests" / "mutation" / "accepted.txt"
OPTIONS = "configs/run_config.h"
# A change of any number in this file changes every hash, and the tests of base/ know some hashes.
KILLABLE = "base/sha256.cpp"


class Parser(argparse.ArgumentParser):
    def error(self, message):
        sys.exit(die(64, message))


def say(text):
    print(f"[mutate] {text}", flush=True)


def die(code, message):
    print(f"mutate.sh: {message}", file=sys.stderr)
    return code


def split(text):
    return [part for part in text.split(",") if part]


def parse(arguments):
    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--folders", type=split, default=["launch/run/stages", "rl", "trainer", "data", "checkpoints", "configs", "base"])
    parser.add_argument("--exclude", type=split, default=["trainer/parallel"])
    parser.add_argument("--commit", default="HEAD")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--levels", type=int)
    parser.add_argument("--areas", type=split, default=[])
    parser.add_argument("--only", type=split, default=[])
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--libtorch", required=True)
    parser.add_argument("--processors", type=int, default=2)
    options = parser.parse_args(arguments)
    for folder in options.folders:
        if folder.split("/")[0] not in ABOVE:
            parser.error(f"no tests are known for the folder '{folder}' (known: {', '.join(ABOVE)}, and folders inside them)")
    for area in options.areas:
        if area not in AREAS:
            parser.error(f"there are no tests '{area}' (known: {', '.join(AREAS)})")
    if options.count < 1 or options.jobs < 1 or (options.levels or 1) < 1:
        parser.error("--count, --jobs and --levels must be at least 1")
    return options


def git(*arguments):
    return run_git("-C", REPOSITORY, *arguments)


def sources(commit, folders, exclude):
    """Returns the contents of the sources of a commit, by file. CUDA sources are left out, because nothing here runs them."""
    files = git("ls-tree", "-r", "--name-only", commit, "--", *folders).splitlines()
    chosen = [f for f in files if f.endswith((".cpp", ".h")) and not any(f == e or f.startswith(f"{e}/") for e in exclude)]
    return {file: git("show", f"{commit}:{file}") for file in chosen}


def killable(commit):
    text = git("show", f"{commit}:{KILLABLE}")
    for key, changes in lines_of(KILLABLE, text, {}):
        for change in changes:
            if change.operator == "number":
                return make(key, change, text)
    raise CopyFailed(f"{KILLABLE} has no number to change")


class Run:
    def __init__(self, options, commit, mutants):
        self.options, self.commit = options, commit

        def tested_by(folder):
            return options.areas or levels(folder, options.levels)

        self.areas = sorted({"base", *(area for m in mutants for area in tested_by(m.file.split("/")[0]))}, key=list(AREAS).index)
        self.home = REPOSITORY / "build" / "mutation"
        self.stop, self.lock = threading.Event(), threading.Lock()
        self.waiting = queue.SimpleQueue()
        self.failure = None
        cores = threading.Lock()
        share = max(1, options.processors // options.jobs)
        folders = [self.home / f"copy-{job}" for job in range(options.jobs)]
        covered = can_cover()
        self.copies = [Copy(folder, REPOSITORY if covered else folder, share, self.stop, cores, tested_by) for folder in folders]

    def prepare(self):
        configure = [f"-DTERSE_LIBTORCH={self.options.libtorch}", "-DTERSE_CUDA=AUTO"]  # as scripts/test.sh does
        for copy in self.copies:
            say(f"building {copy.folder}")
            copy.processors, share = self.options.processors, copy.processors
            copy.prepare(REPOSITORY, self.commit, configure, self.areas)
            copy.processors = share
        stored = self.home / f"baseline-{self.commit[:12]}.json"
        if stored.exists() and set(baseline.Baseline.load(stored).programs) >= set(self.areas):
            self.baseline = baseline.Baseline.load(stored)
        else:
            self.baseline = baseline.measure(self.copies[0], self.areas, say)
            self.baseline.save(stored)
        outcome = self.copies[0].judge(killable(self.commit), self.baseline, ["base"])
        if outcome["verdict"] != "killed":
            raise CopyFailed(f"a changed number in {KILLABLE} must be killed by base_tests, but: {outcome}")

    def judge_all(self, mutants, results):
        count = len(mutants)
        for place, mutant in enumerate(mutants, 1):
            if mutant.id not in results.known():
                self.waiting.put((place, mutant))

        def work(copy):
            while not self.stop.is_set():
                try:
                    place, mutant = self.waiting.get_nowait()
                except queue.Empty:
                    return
                outcome = copy.judge(mutant, self.baseline)
                with self.lock:
                    results.add({**mutant.record(), **outcome})
                    text = f"{mutant.id} {mutant.file}:{mutant.line} {mutant.operator}"
                    say(f"{place}/{count} {outcome['verdict']}: {text}, {outcome['seconds']} s {outcome.get('by', '')}")

        def guarded(copy):
            try:
                work(copy)
            except Stopped:
                pass
            except BaseException as error:
                self.failure = error
                self.stop.set()

        threads = [threading.Thread(target=guarded, args=[copy]) for copy in self.copies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.failure:
            raise self.failure


def drawn(options, commit):
    defaults = option_defaults(git("show", f"{commit}:{OPTIONS}"))
    mutants = draw(sources(commit, options.folders, options.exclude), options.count, options.seed, defaults)
    if options.only:
        mutants = [mutant for mutant in mutants if mutant.id in options.only]
    if not mutants:
        raise ValueError("no mutant is drawn: the folders hold no code, or none of the draw has an --only ID")
    return mutants


def test(options, commit, mutants):
    """Judges the mutants and writes the report. Returns the exit code."""
    if git("status", "--porcelain", "--untracked-files=no"):
        say("note: changes that are not committed take no part")
    run = Run(options, commit, mutants)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: run.stop.set())
    out = options.out or run.home / f"seed-{options.seed}-{commit[:12]}"
    of = {"commit": commit, "seed": options.seed, "folders": options.folders, "exclude": options.exclude, "levels": options.levels, "areas": options.areas}
    results = report.Results(out, of, options.resume)
    accepted = report.read_accepted(ACCEPTED)
    try:
        run.prepare()
        run.judge_all(mutants, results)
    except Stopped:
        pass
    ids = {mutant.id for mutant in mutants}
    found = report.summary([record for record in results.records if record["id"] in ids], accepted)
    report.write(out, found)
    print(report.as_text(found), end="")
    say(f"report: {out}/report.txt and report.json")
    return die(130, "interrupted; --resume goes on") if run.stop.is_set() else 0


def main(arguments):
    options = parse(arguments)
    try:
        commit = git("rev-parse", "--verify", f"{options.commit}^{{commit}}").strip()
        mutants = drawn(options, commit)
        if options.list:
            for mutant in mutants:
                print(f"{mutant.id}  {mutant.file}:{mutant.line}  {mutant.operator}\n{mutant.diff}\n")
            return 0
        return test(options, commit, mutants)
    except ValueError as error:
        return die(64, error)
    except (CopyFailed, baseline.BaselineFailed) as error:
        return die(1, error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
