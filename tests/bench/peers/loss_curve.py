#!/usr/bin/env python3
"""Compares the loss of every step of a training in fp32 by terse with that of PyTorch: same weights to begin with, same texts, same AdamW.

    scripts/bench_peers.sh training

Both fine-tune the model 10m on the same 8 passages of Shakespeare, all of them in each update. terse does it with `terse run`. PyTorch
does it with transformers' model, as in tests/models/sft_steps.py. The script fails when a loss differs by more than 1e-3 nats.
"""

import checks
import common
import sft_steps
import shapes

LARGEST_DIFFERENCE = 1e-3  # nats; rounding in fp32 grows over the updates, but it stays far below what anyone reads from a loss curve
PASSAGES, CHARACTERS = 8, 400  # of each; about 250 tokens
SETTINGS = {**sft_steps.OPTIMIZER, "lr": 1e-3, "eps": 1e-8, "clip_grad_norm": 1.0}


def passages(count, characters):
    text = (shapes.ROOT / "data/corpora/tinyshakespeare.txt").read_text()[: count * characters]
    parts = [text[begin : begin + characters] for begin in range(0, len(text), characters)]
    return [{"prompt": part[:10], "completion": part[10:]} for part in parts]


def main():
    options = common.parse_options(__doc__)
    log = common.Log(options, "loss_curve")
    shape = shapes.QUICK if options.quick else shapes.shape_named("10m")
    steps = 10 if options.quick else 100
    lines = passages(PASSAGES, 60 if options.quick else CHARACTERS)
    root = options.work / "loss_curve"
    root.mkdir()
    folder, _ = checks.make_and_load(options, shape)
    original = folder.rename(root / "original")
    theirs, _ = sft_steps.by_pytorch(original, steps, lines, SETTINGS)
    ours, _ = sft_steps.by_terse(options.terse.resolve(), original, steps, lines, SETTINGS, options.threads)
    for step, (one, other) in enumerate(zip(ours, theirs, strict=True), 1):
        log.write({"kind": "loss", "shape": shape.name, "step": step, "terse": one, "PyTorch": other})
    largest = max(abs(one - other) for one, other in zip(ours, theirs))
    log.check(f"largest difference of the loss in {steps} steps, nats", largest, LARGEST_DIFFERENCE, program="PyTorch", shape=shape.name)


if __name__ == "__main__":
    main()
