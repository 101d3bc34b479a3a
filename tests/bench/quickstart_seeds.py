#!/usr/bin/env python3
"""Runs the quickstart with several seeds and prints a row for each: accuracy and length before and after, and the weakest difficulty.

    tests/bench/quickstart_seeds.py runs/seeds --seeds 1 2 3 4 5

One seed takes about five minutes on two idle cores. After an interruption, the same command resumes the runs.
"""
import argparse
import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def row(seed, summary):
    stages = {stage["stage"]: stage for stage in summary["stages"]}
    before, after = stages["sft"]["eval"], stages["rl"]["eval"]
    by_difficulty = after["by_difficulty"]
    weakest = min(by_difficulty, key=lambda k: by_difficulty[k]["accuracy"])
    accuracies = " ".join(f"{bucket['accuracy']:.4f}" for bucket in by_difficulty.values())
    return (f"seed {seed}: accuracy {before['accuracy']:.4f} -> {after['accuracy']:.4f}, tokens {before['mean_tokens']:.2f} -> "
            f"{after['mean_tokens']:.3f}, by difficulty {accuracies}, weakest {weakest}; SFT {stages['sft']['train_s']:.0f} s, "
            f"RL {stages['rl']['train_s']:.0f} s, all {summary['wall_s']:.0f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="run folders go here, as seed-N")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--config", type=pathlib.Path, default=ROOT / "configs/quickstart.yaml")
    parser.add_argument("--terse", type=pathlib.Path, default=ROOT / "build/terse")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    for seed in args.seeds:
        run = args.folder / f"seed-{seed}"
        command = [str(args.terse), "run", str(args.config), "--seed", str(seed), "--run-dir", str(run)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        print(row(seed, json.loads((run / "summary.json").read_text())), flush=True)


if __name__ == "__main__":
    main()
