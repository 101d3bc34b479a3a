"""A run over several ranks gives the same bits as one process, at every ZeRO stage, and when the number of ranks changes in between.

    tests/launch/ranks_test.py --all    every number of ranks at every stage
"""

import json
import signal
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from launching import MPIRUN, PROGRAM, Launching, wait_until

ALL = "--all" in sys.argv

# There are more sequences than ranks, so that shares and nodes of the tree are uneven. Windows hold several documents, the head is tied,
# and there is a student beside RL. Fine-tuning brings the policy to a few right answers, so that some groups give a learning signal.
CONFIG = """\
stages: [pretrain, sft, rl]
run: {name: tiny, device: cpu, threads: 1, log_every: 1}
model: {layers: 2, hidden_size: 32, heads: 2, intermediate_size: 48, max_seq_len: 128, qk_norm: true, qkv_bias: true}
data: {train: text.txt, separator: "|"}
task: {k_min: 1, k_max: 2, align_to: 2}
pretrain: {steps: 50, batch_size: 5, seq_len: 24, eval_every: 25, eval_batches: 3}
sft: {steps: 50, batch_size: 23, micro_batch: 4, optimizer: {lr: 0.01}}
rl: {steps: 50, prompts: 3, group_size: 8, demonstrations: 3, eval_every: 20, micro_batch: 5}
eval: {problems_per_difficulty: 3, samples: 2, quick_problems_per_difficulty: 1}
checkpoint: {every: 7}
"""

TASK = "task: {k_min: 1, k_max: 2, align_to: 2}"
MIXTURE = """\
task:
  name: mixture
  mixture:
    easy: {name: chain7, k_min: 1, k_max: 1, align_to: 2, weight: 2}
    hard: {name: chain7, k_min: 2, k_max: 2, align_to: 2}
"""


class Ranks(Launching):
    needs = ["mpirun"]

    def setUp(self):
        super().setUp()
        (self.folder / "a.yaml").write_text(CONFIG)
        # Some documents are shorter than a window and some are longer.
        (self.folder / "text.txt").write_text(("3+2*5= 410 1 " * 7 + "|3+2*|5= 410|") * 11)

    def run_ranks(self, name, ranks, *options):
        return self.start(MPIRUN, "-n", ranks, "run", "a.yaml", "--run-dir", name, *options)

    def finish(self, name, ranks, *options):
        self.assertEqual(self.end_of(self.run_ranks(name, ranks, *options)), 0, self.output())

    def alone(self):
        self.assertEqual(self.run_to_end(PROGRAM, "run", "a.yaml", "--run-dir", "alone"), 0, self.output())

    def test_any_number_of_ranks_and_any_zero_stage_give_the_same_bits(self):
        self.alone()
        taught = [line["step"] for line in self.metrics("alone") if line.get("frac_reward_zero_std", 1) < 1]
        self.assertGreater(len(taught), 25, "steps of RL in which some group had a right and a wrong answer")
        layouts = [(2, 1), (3, 1), (4, 1), (2, 2), (3, 2), (2, 3), (3, 3)] if ALL else [(4, 1), (3, 2), (2, 3)]
        for ranks, zero in layouts:
            with self.subTest(ranks=ranks, zero=zero):
                name = f"ranks-{ranks}-zero-{zero}"
                self.finish(name, ranks, "--set", f"parallel.zero={zero}")
                self.assert_same_run(name, "alone")
        for zero in (1, 3) if ALL else (3,):
            with self.subTest(nodes="2 x 2", zero=zero):
                nodes = ["--set", "parallel.hierarchical=true", "--set", "parallel.ranks_per_node=2"]
                self.finish(f"nodes-{zero}", 4, *nodes, "--set", f"parallel.zero={zero}")
                self.assert_same_run(f"nodes-{zero}", "alone")

    def test_so_does_fine_tuning_on_conversations(self):
        lines = [{"prompt": f"{i}" * (i % 9 + 1), "completion": f"{i + 1}"} for i in range(40)]
        (self.folder / "chats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        chats = ["--set", "stages=[sft]", "--set", "sft.train=chats.jsonl", "--set", "sft.val_fraction=0.2", "--set", "sft.eval_every=10"]
        self.assertEqual(self.run_to_end(PROGRAM, "run", "a.yaml", "--run-dir", "alone", *chats), 0, self.output())
        self.assertEqual(sum("val_loss" in line for line in self.metrics("alone")), 5)
        for ranks, zero in [(2, 1), (3, 2), (2, 3)]:
            with self.subTest(ranks=ranks, zero=zero):
                name = f"chats-{ranks}-{zero}"
                self.finish(name, ranks, *chats, "--set", f"parallel.zero={zero}")
                self.assert_same_run(name, "alone")
        self.assertEqual(self.run_to_end(PROGRAM, "verify", "alone"), 0, self.output())

    # Rollout ranks make the problems that they are told to from their indices.
    def test_a_mixture_of_tasks_does_not_depend_on_the_ranks(self):
        self.assertIn(TASK, CONFIG)
        (self.folder / "a.yaml").write_text(CONFIG.replace(TASK, MIXTURE))
        short = ["--set", "stages=[sft,rl]", "--set", "sft.steps=10", "--set", "rl.steps=10"]
        self.assertEqual(self.run_to_end(PROGRAM, "run", "a.yaml", "--run-dir", "alone", *short), 0, self.output())
        self.finish("mixed", 3, *short)
        self.assert_same_run("mixed", "alone")
        self.finish("split", 2, *short, "--set", "parallel.layout=split")
        self.assert_same_run("split", "alone")

    def test_so_do_copies_through_host_memory(self):
        self.alone()
        self.finish("staged", 2, "--set", "parallel.backend=staged")
        self.assert_same_run("staged", "alone")

    def test_so_do_weights_in_bf16(self):
        bf16 = ["--set", "model.precision=bf16"]
        self.assertEqual(self.run_to_end(PROGRAM, "run", "a.yaml", "--run-dir", "alone", *bf16), 0, self.output())
        differences = [line["sampling/logp_diff/max"] for line in self.metrics("alone") if "sampling/logp_diff/max" in line]
        self.assertEqual(set(differences), {0}, "the sampler records the learner's log-probs")
        self.assertGreater(len(differences), 25)
        for ranks, zero in [(2, 1), (3, 2), (2, 3)]:
            with self.subTest(ranks=ranks, zero=zero):
                self.finish(f"bf16-{zero}", ranks, *bf16, "--set", f"parallel.zero={zero}")
                self.assert_same_run(f"bf16-{zero}", "alone")

    def test_a_run_goes_on_with_another_number_of_ranks(self):
        self.alone()
        for ranks, zero in [(2, 2), (1, 1), (3, 3)]:
            before = self.steps("moved")
            process = self.run_ranks("moved", ranks, "--set", f"parallel.zero={zero}")
            # Waits for steps of this start: before the first one, the launcher may not handle the signal yet.
            wait_until(lambda: self.steps("moved") > before + 20 or process.poll() is not None, "a few steps")
            process.send_signal(signal.SIGUSR1)
            self.assertIn(self.end_of(process), (75, 0), self.output())
        self.finish("moved", 2)
        self.assert_same_run("moved", "alone")
        self.assertEqual(self.run_to_end(PROGRAM, "verify", "moved"), 0, self.output())

    def test_weights_of_another_run_are_the_same_on_any_number_of_ranks(self):
        tune = ["--set", "stages=[sft]", "--set", "sft.steps=20"]
        self.finish("source", 2, *tune, "--set", "parallel.zero=2")
        begin = [*tune, "--set", "model.init=source", "--set", "run.seed=5"]
        self.assertEqual(self.run_to_end(PROGRAM, "run", "a.yaml", "--run-dir", "alone", *begin), 0, self.output())
        for ranks, zero in [(2, 1), (3, 2), (2, 3), (3, 3)] if ALL else [(3, 2), (2, 3)]:
            with self.subTest(ranks=ranks, zero=zero):
                name = f"begun-{ranks}-{zero}"
                self.finish(name, ranks, *begin, "--set", f"parallel.zero={zero}")
                self.assert_same_run(name, "alone")
        before = self.output().count("model.init: the weights of")
        wrong = self.run_ranks("wrong", 3, *begin, "--set", "model.heads=4")
        self.assertEqual(self.end_of(wrong), 78, self.output())
        self.assertIn("model.heads: 2 there, 4 here", self.output())
        self.assertEqual(self.output().count("model.init: the weights of"), before + 1, self.output())

    def test_a_mistake_is_told_once(self):
        self.assertEqual(self.end_of(self.run_ranks("wrong", 3, "--set", "model.heads=3")), 78)
        self.assertEqual(self.output().count("terse: "), 1, self.output())


if __name__ == "__main__":
    unittest.main(argv=[argument for argument in sys.argv if argument != "--all"])
