#!/usr/bin/env python3
"""Compares steps of GRPO: terse with TRL's GRPOTrainer, with the same weights, prompts, lengths, rewards, dtype and threads.

    scripts/bench_peers.sh grpo

A step has 8 prompts with 8 rollouts of 128 tokens each, and one update by AdamW in micro-batches of 8 rollouts. The shape 10m has prompts of
64 tokens, and the shape of SmolLM2-135M prompts of 128. grpo_model.py explains how all responses get the same length. TRL runs in
fp32, and in bf16 with autocast or with all weights in bf16.

Each run is a process of its own. Its first step is not counted. Its peak memory is the most that the process had resident, without the
program that judges terse's responses.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
import shapes
from grpo_model import make_model, write_prompts

HERE = Path(__file__).parent
POLL_SECONDS = 0.02  # Linux keeps the peak, so only what a process adds in its last moments is missed
STEP = {"prompts": 8, "group_size": 8, "micro_batch": 8, "new_tokens": 128, "lr": 1e-7}
QUICK_STEP = {"prompts": 4, "group_size": 4, "micro_batch": 4, "new_tokens": 16, "lr": 1e-7}


def run_measured(command):
    """Returns what the command printed, and its peak resident memory in bytes."""
    peak = 0
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen([*map(str, command)], stdout=printed, stderr=subprocess.STDOUT)
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            for line in status.read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peak = max(peak, int(line.split()[1]) * 1024)
            time.sleep(POLL_SECONDS)
        printed.seek(0)
        output = printed.read()
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{output[-3000:]}")
    return output, peak


class Comparison:
    def __init__(self, log, options, shape, step, prompt_tokens, counted):
        self.log, self.options, self.shape, self.step, self.prompt_tokens = log, options, shape, step, prompt_tokens
        self.steps = 1 + counted
        self.root = options.work / f"grpo-{shape.name}"
        self.root.mkdir()
        self.model, tokenizer = make_model(self.root / "model", shape, step["new_tokens"])
        self.prompts = write_prompts(self.root / "prompts.json", tokenizer, step["prompts"], prompt_tokens)

    def record(self, program, dtype, steps, peak):
        """Medians of the counted steps. Every rollout has all its tokens, and every group teaches something."""
        where = {"program": program, "dtype": dtype, "shape": self.shape.name}
        self.log.check("largest difference of a mean length", max(abs(s["mean_length"] - self.step["new_tokens"]) for s in steps), 0, **where)
        self.log.check("share of groups with equal rewards", max(s["zero_std"] for s in steps), 0, **where)
        counted = steps[1:]
        medians = {key: statistics.median(s[key] for s in counted) for key in ("seconds", "rollout", "verify", "update")}
        sizes = {"rollouts": self.step["prompts"] * self.step["group_size"], "prompt_tokens": self.prompt_tokens}
        return {"kind": "speed", **where, **sizes, "new_tokens": self.step["new_tokens"], **medians, "peak_bytes": peak}

    def terse_config(self, precision):
        none = {"eval_every": 0, "trace_every": 0, "resample_uniform": False, "entropy_bonus": 0, "demonstrations": 0}
        optimizer = {"lr": self.step["lr"], "schedule": "constant", "weight_decay": 0, "clip_grad_norm": 1}
        sizes = {key: self.step[key] for key in ("prompts", "group_size", "micro_batch")}
        return {
            "stages": ["rl"],
            "run": {"device": "cpu", "threads": self.options.threads, "log_every": 1},
            "model": {"init": str(self.model.resolve()), "max_seq_len": shapes.MAX_SEQ_LEN, "precision": precision},
            "chat": {"chat_template": "none"},
            "task": {"name": "external", "command": [sys.executable, str(HERE / "grpo_task.py"), str(self.prompts.resolve())], "workers": 1},
            "rl": {"steps": self.steps, **sizes, **none, "penalty": {"kind": "none"}, "optimizer": optimizer},
            "engine": {"max_batch": sizes["prompts"] * sizes["group_size"], "max_new_tokens": self.step["new_tokens"]},
            "eval": {"problems_per_difficulty": 1, "samples": 1, "quick_problems_per_difficulty": 1},
            "checkpoint": {"every": 0},
        }

    def terse_side(self, precision):
        def side():
            run, config = self.root / "run", self.root / "config.yaml"
            config.write_text(json.dumps(self.terse_config(precision)))  # JSON is YAML
            _, peak = run_measured([self.options.terse, "run", config, "--run-dir", run])
            records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
            shutil.rmtree(run)
            steps = [
                {
                    "seconds": record["step_time"],
                    "rollout": record["time/rollout"] - record["time/reward"],
                    "verify": record["time/reward"],  # after the last token
                    "update": record["time/train"],
                    "mean_length": record["completions/mean_length"],
                    "zero_std": record["frac_reward_zero_std"],
                }
                for record in records
                if "step_time" in record
            ]
            assert len(steps) == self.steps
            return [self.record("terse", precision, steps, peak)]

        return side

    def trl_side(self, program, dtype, autocast, weights_in_bf16):
        def side():
            ours = {"steps": self.steps, "threads": self.options.threads, "autocast": autocast, "weights_in_bf16": weights_in_bf16}
            texts = json.loads(self.prompts.read_text())[: self.step["prompts"]]
            folders = {"model": str(self.model), "output": str(self.root / "trl")}
            settings = self.root / "settings.json"
            settings.write_text(json.dumps({**self.step, **ours, **folders, "texts": texts}))
            output, peak = run_measured([sys.executable, HERE / "grpo_trl.py", settings])
            steps = json.loads(next(line for line in output.splitlines() if line.startswith("steps:"))[6:])
            assert len(steps) == self.steps
            return [self.record(program, dtype, steps, peak)]

        return side

    def run(self):
        sides = [
            self.terse_side("fp32"),
            self.trl_side("TRL", "fp32", autocast=False, weights_in_bf16=False),
            self.terse_side("bf16"),
            self.trl_side("TRL, autocast", "bf16", autocast=True, weights_in_bf16=False),
            self.trl_side("TRL, weights in bf16", "bf16", autocast=False, weights_in_bf16=True),
        ]
        common.alternate(self.log, self.options.runs, sides)


def main():
    options = common.parse_options(__doc__)
    log = common.Log(options, "grpo")
    if options.quick:
        Comparison(log, options, shapes.QUICK, QUICK_STEP, prompt_tokens=16, counted=1).run()
        return
    Comparison(log, options, shapes.shape_named("10m"), STEP, prompt_tokens=64, counted=3).run()
    Comparison(log, options, shapes.shape_named("smollm2-135m"), STEP, prompt_tokens=128, counted=1).run()


if __name__ == "__main__":
    main()
