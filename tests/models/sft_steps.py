"""Compares updates of fine-tuning by terse run with the same updates by PyTorch: transformers' model in fp32, its gradient, and AdamW.

The batch is all lines of a file, so the order in which terse takes them changes sums only by rounding. PyTorch sees the lines one by one,
as terse does: no conversation attends to another, and the loss is the mean over what the assistant says in all of them.

AdamW's first update of a weight is lr * g / (|g| + eps). Where |g| is far above eps this is lr times the sign of g, whatever rounding did
to g. Where g is itself not far above the rounding of the gradient, its sign is chance, and no two programs agree on it. So eps is 1e-3
here: far above that rounding, and about as large as most of the gradient after clipping. The first update cannot show the decay rates of
the moments, because it corrects their bias entirely, so four updates are compared, too.

Each tensor is measured in two ways: the largest difference of a weight / the largest magnitude of a weight, and the largest difference of a
weight / the largest change of a weight by the updates. The second is the sharper one. Its limit allows for the rounding of the weights,
which are up to a hundred times as large as their changes.
"""

import json
from pathlib import Path

import exports
import torch
import transformers

LARGEST_LOSS = {1: 1e-6, 4: 1e-6}  # relative, by steps
LARGEST_WEIGHT = 1e-5
LARGEST_CHANGE = 2e-4
OPTIMIZER = {"lr": 0.01, "beta1": 0.9, "beta2": 0.95, "eps": 1e-3, "weight_decay": 0.1, "clip_grad_norm": 0.5, "schedule": "constant"}
LINES = [
    {"messages": [{"role": "user", "content": "What is 2 + 3?"}, {"role": "assistant", "content": "5"}]},
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Name a bird."},
            {"role": "assistant", "content": "A robin."},
            {"role": "user", "content": "And a fish?"},
            {"role": "assistant", "content": "A trout."},
        ]
    },
    {
        "prompt": [{"role": "user", "content": "Sag etwas über Käse."}],
        "completion": [{"role": "assistant", "content": "Er ist gelb. 🧀"}],
    },
    {"prompt": "The capital of France is", "completion": " Paris."},
    {"prompt": "def f(x):\n", "completion": "    return x * x\n"},
]
# ChatML as in the model's folder, with marks around what is learned. terse has to find this by itself.
MARKED = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{% if message.role == 'assistant' %}{% generation %}"
    "{{ message.content }}<|im_end|>{% endgeneration %}{% else %}{{ message.content }}<|im_end|>{% endif %}{{ '\\n' }}{% endfor %}"
)


def encode(tokenizer, line):
    """Returns the ids of a line, and which of them are learned."""
    if isinstance(line.get("prompt"), str):
        prompt = tokenizer(line["prompt"]).input_ids
        completion = [*tokenizer(line["completion"], add_special_tokens=False).input_ids, tokenizer.eos_token_id]
        return prompt + completion, [False] * len(prompt) + [True] * len(completion)
    messages = line["messages"] if "messages" in line else line["prompt"] + line["completion"]
    encoded = tokenizer.apply_chat_template(messages, chat_template=MARKED, return_dict=True, return_assistant_tokens_mask=True)
    return encoded["input_ids"], [bool(mark) for mark in encoded["assistant_masks"]]


def gradient(model, batch):
    """Adds the gradient to the model's, and returns the loss."""
    count = sum(sum(learned) for _, learned in batch)
    total = 0.0
    for ids, learned in batch:
        logits = model(torch.tensor([ids])).logits[0, :-1]
        losses = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")
        loss = losses[torch.tensor(learned[1:])].double().sum() / count
        loss.backward()
        total += loss.item()
    return total


def by_pytorch(folder, steps, lines=LINES, settings=OPTIMIZER):
    """Returns the losses and the weights."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    batch = [encode(tokenizer, line) for line in lines]
    named = dict(model.named_parameters())  # a tied head is not listed again
    decays = {name: parameter.dim() > 1 and "embed_tokens" not in name for name, parameter in named.items()}
    groups = [
        {"params": [named[n] for n in named if decays[n]], "weight_decay": settings["weight_decay"]},
        {"params": [named[n] for n in named if not decays[n]], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings["lr"], betas=(settings["beta1"], settings["beta2"]), eps=settings["eps"])
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        losses.append(gradient(model, batch))
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings["clip_grad_norm"])
        optimizer.step()
    return losses, {name: parameter.detach() for name, parameter in named.items()}


def by_terse(terse, original, steps, lines=LINES, settings=OPTIMIZER, threads=1):
    """The same. It writes its files beside the folder of the model."""
    folder = original.parent / f"sft-{steps}"
    folder.mkdir()
    (folder / "lines.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = {
        "stages": ["sft"],
        "run": {"device": "cpu", "threads": threads, "log_every": 1},
        "model": {"init": str(original), "max_seq_len": 512, "precision": "fp32"},
        "sft": {
            "train": str(folder / "lines.jsonl"),
            "val_fraction": 0,
            "steps": steps,
            "batch_size": len(lines),
            "optimizer": settings,
        },
    }
    (folder / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
    exports.run(terse, "run", folder / "config.yaml", "--run-dir", folder / "run")
    exports.run(terse, "convert", folder / "run", folder / "hf")
    records = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    return [record["loss"] for record in records if "loss" in record], exports.tensors_of(folder / "hf")


def largest(differences, scale):
    return (differences.abs().max() / scale.abs().max()).item()


def compare_steps(terse, original):
    """Returns what to print, and what is wrong."""
    before = exports.tensors_of(original)
    shown, wrong = [], []
    for steps, largest_loss in LARGEST_LOSS.items():
        losses, expected = by_pytorch(original, steps)
        try:
            ours, found = by_terse(terse, original, steps)
        except exports.Different as problem:
            return "no fine-tuning", [str(problem)]
        if len(ours) != len(losses) or found.keys() != expected.keys():
            return "no fine-tuning", [f"after {steps} steps there are {len(ours)} losses and the tensors {found.keys()}"]
        loss = max(abs(a - b) / abs(b) for a, b in zip(ours, losses))
        weight, change = {}, {}
        for name, theirs in expected.items():
            difference = found[name].float() - theirs
            weight[name] = largest(difference, theirs)
            change[name] = largest(difference, theirs - before[name].float())
        worst = max(weight, key=weight.get), max(change, key=change.get)
        for value, limit, what in (
            (loss, largest_loss, "the loss"),
            (weight[worst[0]], LARGEST_WEIGHT, f"the weights of {worst[0]}"),
            (change[worst[1]], LARGEST_CHANGE, f"the changes of {worst[1]}"),
        ):
            if not value <= limit:
                wrong.append(f"after {steps} SFT steps {what} differ by {value:.2g}, more than {limit:g}")
        shown.append(f"{steps} SFT step(s): loss {loss:.1g}, weights {weight[worst[0]]:.1g}, changes {change[worst[1]]:.1g}")
    return "; ".join(shown), wrong
