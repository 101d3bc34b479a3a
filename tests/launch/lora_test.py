"""Runs with LoRA end with the same bits on any number of ranks, at any ZeRO stage, in the split layout and after kills. The model itself
stays as it was, and a checkpoint needs nothing beside itself."""

import signal
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from launching import MPIRUN, PROGRAM, Launching, wait_until

CONFIG = """\
stages: [sft, rl]
run: {name: tiny, device: cpu, threads: 1, log_every: 1}
model: {layers: 2, hidden_size: 32, heads: 2, intermediate_size: 48, max_seq_len: 128, qk_norm: true}
task: {k_min: 1, k_max: 2, align_to: 2}
sft: {steps: 40, batch_size: 11, micro_batch: 4}
rl: {steps: 8, prompts: 3, group_size: 4, demonstrations: 3, eval_every: 4}
eval: {problems_per_difficulty: 3, samples: 2, quick_problems_per_difficulty: 1}
checkpoint: {every: 3}
"""
PROMPT = "<bos> 3+2*5="
LORA = ["--set", "model.init=source", "--set", "lora.rank=4", "--set", "lora.dropout=0.2", "--set", "sft.optimizer.lr=0.01"]


class Lora(Launching):
    needs = ["mpirun"]

    def setUp(self):
        super().setUp()
        (self.folder / "a.yaml").write_text(CONFIG)
        tune = ["--set", "stages=[sft]", "--set", "sft.optimizer.lr=0.003"]
        self.assertEqual(self.run_to_end(PROGRAM, "run", "a.yaml", "--run-dir", "source", *tune), 0, self.output())

    def run_alone(self, name, *options):
        return self.start(PROGRAM, "run", "a.yaml", "--run-dir", name, *LORA, *options)

    def alone(self):
        self.assertEqual(self.end_of(self.run_alone("alone")), 0, self.output())

    def finish(self, name, ranks, *options):
        process = self.start(MPIRUN, "-n", ranks, "run", "a.yaml", "--run-dir", name, *LORA, *options)
        self.assertEqual(self.end_of(process), 0, self.output())

    def read(self, *command):
        result = subprocess.run([PROGRAM, *command], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout

    def test_ranks_zero_stages_and_layouts_give_the_same_bits(self):
        self.alone()
        layouts = {
            "two": (2, "parallel.zero=1"),
            "three": (3, "parallel.zero=2"),
            "sharded": (2, "parallel.zero=3"),
            "recomputed": (2, "model.activation_checkpointing=true"),
            "split": (3, "parallel.layout=split"),
        }
        for name, (ranks, option) in layouts.items():
            with self.subTest(layout=name):
                self.finish(name, ranks, "--set", option)
                self.assert_same_run(name, "alone")

    def test_a_killed_run_ends_the_same(self):
        self.alone()
        for steps in (15, 43):  # in the middle of each stage
            process = self.run_alone("killed")
            wait_until(lambda: self.steps("killed") > steps or process.poll() is not None, "a few steps")
            process.send_signal(signal.SIGKILL)
            self.assertIn(self.end_of(process), (-signal.SIGKILL, 0), self.output())
        self.assertEqual(self.end_of(self.run_alone("killed")), 0, self.output())
        self.assert_same_run("killed", "alone")

    def test_a_checkpoint_needs_nothing_else(self):
        self.alone()
        checkpoint = (self.folder / "alone/checkpoints" / (self.folder / "alone/checkpoints/latest").read_text().strip()).resolve()
        before = self.read("generate", str(checkpoint), PROMPT, "--seed", "3")
        (self.folder / "source").rename(self.folder / "gone")
        checkpoint.rename(self.folder / "copy")
        self.assertEqual(self.read("generate", "copy", PROMPT, "--seed", "3"), before)
        self.assertIn("adapter_config.json", [file.name for file in (self.folder / "copy").iterdir()])

    def test_a_run_that_begins_with_it_has_the_merged_weights(self):
        self.alone()
        options = ["--set", "stages=[sft]", "--set", "sft.steps=1", "--set", "sft.optimizer.lr=0", "--set", "model.init=alone"]
        for name, more in (("plain", []), ("adapted", ["--set", "lora.rank=2"])):
            with self.subTest(run=name):
                process = self.start(PROGRAM, "run", "a.yaml", "--run-dir", name, *options, *more)
                self.assertEqual(self.end_of(process), 0, self.output())
                self.assertIn("the adapters of the checkpoint are merged", (self.folder / name / "log.txt").read_text())
                greedy = [self.read("generate", run, PROMPT, "--temperature", "0") for run in ("alone", name)]
                self.assertEqual(*greedy)

    def test_adapters_without_a_model_are_refused(self):
        self.assertEqual(self.run_to_end(PROGRAM, "run", "a.yaml", "--run-dir", "wrong", "--set", "lora.rank=4"), 78)
        self.assertIn("model.init is empty", self.output())


if __name__ == "__main__":
    unittest.main()
