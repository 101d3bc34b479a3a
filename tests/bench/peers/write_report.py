#!/usr/bin/env python3
"""Writes docs/benchmarks.md from the logs of the comparisons, which are in the folder of --out.

    scripts/bench_peers.sh report

With --quick it writes OUT/benchmarks.md, so that figures of tiny sizes never get into docs/. A comparison without a log is left out.
"""

import json
import statistics

import common
import shapes
import tables

INTRODUCTION = """# Benchmarks

<!-- Made from the logs of scripts/bench_peers.sh; do not edit. -->

This page compares the speed of terse with that of other programs on one machine.
`scripts/bench_peers.sh` measures everything and writes this page; it installs the other programs by itself.
The raw figures are lines of JSON in `build/bench_peers/`, one file for each comparison.

```
scripts/bench_peers.sh all          # everything, which takes hours; nothing else should run
scripts/bench_peers.sh training     # one comparison: training, generation, llama-cpp or grpo
scripts/bench_peers.sh report       # this page again, from the logs
```

The programs take turns, so that noise on the machine affects all of them.
Each figure is the median of all runs, and the lowest and the highest run stand in brackets behind it.
A ratio is the speed of terse divided by that of the other program, so terse is slower where it is below 1; such rows say so.
The programs have equal shapes, tokens, dtypes and numbers of threads, and the checks in the last section compare what they compute.
"""


def read_logs(options):
    """Returns the records of each comparison that has a log."""
    paths = {part: options.out / f"{part}.jsonl" for part in ("training", "loss_curve", "generation", "llama-cpp", "grpo")}
    return {part: [json.loads(line) for line in path.read_text().splitlines()] for part, path in paths.items() if path.exists()}


def machine_section(logs):
    machines = [records[0] for records in logs.values()]
    first = machines[0]
    peaks = [record for records in logs.values() for record in records if record["kind"] == "peaks"]
    rows = [
        ("CPU", first["cpu"]),
        ("instruction sets", ", ".join(first["instructions"])),
        ("cores", first["cores"]),
        ("threads of each program", ", ".join(sorted({str(m["threads"]) for m in machines}))),
        ("memory", f"{first['memory_gib']:g} GiB"),
        *((what, tables.with_range([peak[key] / 1e9 for peak in peaks]) + unit) for what, key, unit in tables.PEAKS if peaks),
        ("runs of each program", ", ".join(f"{part} {m['runs']}" for part, m in zip(logs, machines) if part != "loss_curve")),
        ("load of the machine at the start", ", ".join(f"{part} {m['load']:g}" for part, m in zip(logs, machines))),
        ("dates", ", ".join(sorted({m["date"] for m in machines}))),
        ("commit of terse", ", ".join(sorted({m["terse"] for m in machines}))),
        ("other programs", ", ".join(f"{name} {first[name]}" for name in common.PROGRAMS) + f", Python {first['python']}"),
    ]
    text = "\n## The machine\n\n" + tables.table(("", ""), rows)
    if len({m["cpu"] for m in machines}) > 1:
        text += "\nThe logs are from different machines, so figures of different sections are not comparable.\n"
    if any(m["quick"] for m in machines):
        text += "\nThese figures are of tiny sizes and only show that the comparisons work.\n"
    if any(m["runs"] < 5 for m in machines):
        text += "\nFewer than 5 runs are too few for figures that somebody relies on.\n"
    return text


def loss_section(records):
    losses = [record for record in records if record["kind"] == "loss"]
    differences = [abs(record["terse"] - record["PyTorch"]) for record in losses]
    first, last = losses[0], losses[-1]
    return (
        "\n### Loss curves\n\n"
        "terse and PyTorch fine-tune the same weights on the same texts, in fp32 and with the same AdamW.\n"
        f"In {len(losses)} steps, the loss of terse falls from {first['terse']:.4f} to {last['terse']:.4f} nats, "
        f"and that of PyTorch from {first['PyTorch']:.4f} to {last['PyTorch']:.4f}.\n"
        f"The largest difference of a step is {max(differences):.1e}, and the median difference is {statistics.median(differences):.1e}.\n"
    )


def checks_section(logs):
    rows = [
        (part, check["shape"], check["program"], check["what"], f"{check['value']:.2g}", f"{check['limit']:g}")
        for part, records in logs.items()
        for check in tables.unique_checks(records)
    ]
    text = "\n## Checks of equal work\n\nA comparison stops when a check fails. Where a check was repeated, the largest value is shown.\n\n"
    return text + tables.table(("comparison", "shape", "other program", "what", "found", "limit"), rows)


def main():
    options = common.parse_options(__doc__)
    logs = read_logs(options)
    if not logs:
        raise SystemExit(f"there are no logs in {options.out}")
    sections = {
        "training": tables.training_section,
        "loss_curve": loss_section,
        "generation": tables.generation_section,
        "llama-cpp": tables.llama_section,
        "grpo": tables.grpo_section,
    }
    text = INTRODUCTION + machine_section(logs)
    text += "".join(section(logs[part]) for part, section in sections.items() if part in logs)
    text += checks_section(logs)
    quick = options.quick or any(records[0]["quick"] for records in logs.values())
    path = options.out / "benchmarks.md" if quick else shapes.ROOT / "docs/benchmarks.md"
    path.write_text(text)
    print(f"[bench_peers] {path}")


if __name__ == "__main__":
    main()
