#!/usr/bin/env python3
"""Runs steps of TRL's GRPOTrainer for grpo.py, and prints the times of each step as JSON.

    grpo_trl.py SETTINGS.json

The settings and the model are those of the run of terse. The rollouts come from `generate` of transformers, TRL's way without a server.
"""

import json
import sys
import time
from pathlib import Path

import datasets
import torch
import transformers
from grpo_task import reward
from trl import GRPOConfig, GRPOTrainer


class TimedTrainer(GRPOTrainer):
    """Adds up the seconds of rollouts and of rewards in a step."""

    rollout = verify = 0.0

    def _generate(self, *arguments, **named):
        start = time.perf_counter()
        result = super()._generate(*arguments, **named)
        self.rollout += time.perf_counter() - start
        return result

    def _calculate_rewards(self, *arguments, **named):
        start = time.perf_counter()
        result = super()._calculate_rewards(*arguments, **named)
        self.verify += time.perf_counter() - start
        return result


class StepTimes(transformers.TrainerCallback):
    def __init__(self):
        self.trainer, self.steps, self.start = None, [], 0.0

    def on_step_begin(self, *arguments, **named):
        self.trainer.rollout = self.trainer.verify = 0.0
        self.start = time.perf_counter()

    def on_step_end(self, *arguments, **named):
        seconds = time.perf_counter() - self.start
        rollout, verify = self.trainer.rollout, self.trainer.verify
        self.steps.append({"seconds": seconds, "rollout": rollout, "verify": verify, "update": seconds - rollout - verify})


def configuration(settings):
    accumulated = settings["prompts"] * settings["group_size"] // settings["micro_batch"]
    return GRPOConfig(
        output_dir=settings["output"],
        use_cpu=True,
        bf16=settings["autocast"],
        max_steps=settings["steps"],
        per_device_train_batch_size=settings["micro_batch"],
        gradient_accumulation_steps=accumulated,
        gradient_checkpointing=False,
        num_generations=settings["group_size"],
        max_completion_length=settings["new_tokens"],
        temperature=1.0,
        learning_rate=settings["lr"],
        lr_scheduler_type="constant",
        weight_decay=0.0,
        max_grad_norm=1.0,
        beta=0.0,
        epsilon=0.2,
        epsilon_high=0.28,
        loss_type="grpo",
        scale_rewards="batch",
        shuffle_dataset=False,
        save_strategy="no",
        report_to=[],
        logging_steps=1,
        disable_tqdm=True,
    )


def main():
    settings = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(settings["threads"])
    dtype = torch.bfloat16 if settings["weights_in_bf16"] else torch.float32
    model = transformers.AutoModelForCausalLM.from_pretrained(settings["model"], dtype=dtype)
    times = StepTimes()
    trainer = TimedTrainer(
        model=model,
        reward_funcs=lambda completions, **_: [reward(text) for text in completions],
        args=configuration(settings),
        train_dataset=datasets.Dataset.from_list([{"prompt": text} for text in settings["texts"]]),
        processing_class=transformers.AutoTokenizer.from_pretrained(settings["model"]),
        callbacks=[times],
    )
    times.trainer = trainer
    trainer.train()
    logs = [record for record in trainer.state.log_history if "completions/mean_length" in record]
    for step, record in zip(times.steps, logs, strict=True):
        step["mean_length"] = record["completions/mean_length"]
        step["zero_std"] = record["frac_reward_zero_std"]
    print("steps:", json.dumps(times.steps))


if __name__ == "__main__":
    main()
