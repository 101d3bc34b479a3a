"""The results of a run. Each mutant is recorded in results.jsonl at once, and all are reported as text and as JSON at the end."""

import json
from collections import Counter
from pathlib import Path

ORDER = ["killed", "survived", "accepted", "equivalent", "not compiled"]


def read_accepted(path: Path):
    """Returns reasons by mutant, from lines 'ID  FILE  REASON'. A line that begins with # is a comment."""
    accepted = {}
    for number, line in enumerate(path.read_text().splitlines() if path.exists() else [], 1):
        if line.strip() and not line.startswith("#"):
            parts = line.split(maxsplit=2)
            if len(parts) != 3:
                raise ValueError(f"{path}:{number}: '{line}' is no line 'ID  FILE  REASON'")
            accepted[parts[0]] = parts[2]
    return accepted


class Results:
    """The records of a folder. The first line describes the draw that they belong to."""

    def __init__(self, folder: Path, draw: dict, resume: bool):
        self.path = folder / "results.jsonl"
        self.records = []
        if self.path.exists():
            first, *others = [json.loads(line) for line in self.path.read_text().splitlines() if line.endswith("}")]
            if not resume:
                raise ValueError(f"{self.path} is there from an earlier run; go on with --resume, or choose another --out")
            if first != draw:
                raise ValueError(f"{self.path} is of another draw ({first}) than this one ({draw}); choose another --out")
            self.records = others
        folder.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(entry) + "\n" for entry in [draw, *self.records]]
        self.path.write_text("".join(lines))  # drops a partial line that an interruption left

    def add(self, record):
        self.records.append(record)
        with open(self.path, "a") as file:
            file.write(json.dumps(record) + "\n")

    def known(self):
        return {record["id"] for record in self.records}


def total(records):
    counts = Counter(record["verdict"] for record in records)
    tested = counts["killed"] + counts["survived"]
    share = f"{100 * counts['killed'] / tested:.1f} % of {tested} killed" if tested else "none to kill"
    return {"mutants": len(records), **{verdict: counts[verdict] for verdict in ORDER}, "share": share}


def summary(records, accepted):
    judged = [
        {**record, "verdict": "accepted", "why": accepted[record["id"]]}
        if record["verdict"] == "survived" and record["id"] in accepted
        else record
        for record in records
    ]
    folders = sorted({record["file"].split("/")[0] for record in judged})
    totals = {folder: total([r for r in judged if r["file"].startswith(f"{folder}/")]) for folder in folders}
    return {"total": total(judged), "folders": totals, "mutants": sorted(judged, key=lambda r: (r["file"], r["line"]))}


def as_text(found):
    lines = [f"{'folder':14}" + "".join(f"{verdict:>14}" for verdict in ORDER) + "   share"]
    for folder, counts in [*found["folders"].items(), ("all", found["total"])]:
        lines.append(f"{folder:14}" + "".join(f"{counts[verdict]:14}" for verdict in ORDER) + f"   {counts['share']}")
    for verdict in ORDER:
        chosen = [record for record in found["mutants"] if record["verdict"] == verdict]
        if chosen:
            lines += ["", f"{verdict}:"]
        for record in chosen:
            why = record.get("by") or record.get("why") or ""
            lines.append(f"  {record['id']}  {record['file']}:{record['line']}  {record['operator']}  {record['seconds']} s  {why}")
            if verdict in ("survived", "accepted"):
                lines += [f"      {line}" for line in record["diff"].splitlines()[2:]]
    return "\n".join(lines) + "\n"


def write(folder: Path, found):
    (folder / "report.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "report.txt").write_text(as_text(found))
