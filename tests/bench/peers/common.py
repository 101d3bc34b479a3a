"""What the comparisons with other programs share: their options, their logs, alternating runs, and the calls of terse.

A log is a file of JSON Lines. Its first record describes the machine and the programs, and each further record has a `kind`:

- `speed`: one run of one program at one task,
- `peaks`: the matrix products and the memory of the machine, as `terse bench` measured them in one of its runs,
- `check`: a comparison that shows that both programs do the same work, and its result,
- `note`: a program that did not run, and why.
"""

import argparse
import atexit
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import shapes
import torch
import transformers

PROGRAMS = ["torch", "transformers", "trl", "llama-cpp-python"]
INSTRUCTIONS = ["avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16"]
LEAST_REPEATS = 3  # of a measurement inside a run, as in `terse bench`


def parse_options(description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terse", type=Path, default=shapes.ROOT / "build/terse")
    parser.add_argument("--logits", type=Path, default=shapes.ROOT / "build/tests/model_logits", help="the program model_logits")
    parser.add_argument("--out", type=Path, default=shapes.ROOT / "build/bench_peers", help="folder of the logs")
    parser.add_argument("--runs", type=int, default=5, help="runs of each program")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--quick", action="store_true", help="tiny sizes, which show only that everything works")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    options.work = Path(tempfile.mkdtemp(prefix="work.", dir=options.out))  # for models and runs; goes at the end
    atexit.register(shutil.rmtree, options.work)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the folder also goes when somebody ends the program
    options.seconds = 0.01 if options.quick else 1.0
    torch.set_num_threads(options.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return options


def selected_shapes(options):
    return [shapes.QUICK] if options.quick else shapes.SHAPES


def describe_machine(options):
    cpu = {}
    for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines():
        key, _, value = line.partition(":")
        cpu[key.strip()] = value.strip()
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 2**20
    commit = subprocess.run(["git", "-C", str(shapes.ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {
        "kind": "machine",
        "cpu": f"{cpu.get('model name', platform.machine())}, family {cpu.get('cpu family')}, model {cpu.get('model')}",
        "instructions": [name for name in INSTRUCTIONS if name in cpu.get("flags", "").split()],
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory, 1),
        "load": round(os.getloadavg()[0], 2),
        "threads": options.threads,
        "runs": options.runs,
        "quick": options.quick,
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "terse": commit,
        **{name: metadata.version(name) for name in PROGRAMS},
    }


class Log:
    """The records of one comparison, in OUT/PART.jsonl."""

    def __init__(self, options, part):
        self.file = (options.out / f"{part}.jsonl").open("w")
        self.write(describe_machine(options))

    def write(self, record):
        self.file.write(json.dumps(record) + "\n")
        self.file.flush()
        if record["kind"] != "machine":
            print("  ".join(f"{key}={short(value)}" for key, value in record.items()), flush=True)

    def check(self, what, value, limit, **where):
        """Ends the program when a value is above its limit: what does not do the same work is not compared."""
        passed = value <= limit
        self.write({"kind": "check", "what": what, "value": value, "limit": limit, "passed": passed, **where})
        if not passed:
            sys.exit(f"{what}: {value:g} is more than {limit:g} ({where})")


def short(value):
    return f"{value:.4g}" if isinstance(value, float) else value


def alternate(log, runs, sides):
    """Runs the sides in turn: A, B, A, B. A side is a function that returns a list of records."""
    for run in range(runs):
        for side in sides:
            for record in side():
                log.write({**record, "run": run})


def median_seconds(work, seconds):
    """The median time of `work`, which runs once without being counted, as `terse bench` does it."""
    work()
    times, start = [], time.perf_counter()
    while len(times) < LEAST_REPEATS or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        work()
        times.append(time.perf_counter() - before)
    return statistics.median(times)


def terse_bench(options, shape, precision, *arguments):
    """Returns what `terse bench` measured, and the record of the machine's peaks."""
    config = shapes.write_config(options.work / f"{shape.name}-{precision}.yaml", shape, precision, options.threads)
    command = [options.terse, "bench", config, "--vocab", shape.vocab, "--seconds", options.seconds, "--json", *arguments]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stderr}")
    result = json.loads(done.stdout)
    if (result["threads"], result["precision"], result["device"]) != (options.threads, precision, "cpu"):
        sys.exit(f"terse bench used {result['threads']} threads, {result['precision']} and the device {result['device']}")
    return result, {"kind": "peaks", **result["machine"]}


def random_tokens(shape, *size):
    return torch.randint(shape.vocab, size, generator=torch.Generator().manual_seed(1))
