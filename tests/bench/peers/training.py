#!/usr/bin/env python3
"""Compares the speed of training: terse with PyTorch, with the same shapes, tokens, dtype and threads.

    scripts/bench_peers.sh training

An update has 4 sequences, and it is forward, backward, clipping and AdamW. terse runs it in `terse bench`. PyTorch runs the model of
decoder.py with torch.optim.AdamW(fused=True) in fp32, and in bf16 in two ways: with all weights in bf16, or with autocast over fp32
weights. torch.compile runs both of these, too, where a compiler works. terse keeps fp32 master weights in bf16, as autocast does.

Before the runs, the script checks that terse, transformers' model and the model of decoder.py give the same logits.
"""

import checks
import common
import torch
from decoder import Decoder

SEQUENCES = 4


class Peer:
    """A model of PyTorch with its optimizer, which does one update at a time."""

    def __init__(self, shape, dtype):
        torch.manual_seed(1)
        self.model = Decoder(shape, shape.training_tokens).to(dtype)
        self.compiled = torch.compile(self.model)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-6, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
        rows = common.random_tokens(shape, SEQUENCES, shape.training_tokens + 1)
        self.tokens, self.targets = rows[:, :-1].contiguous(), rows[:, 1:].contiguous()

    def update(self, model, autocast):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = model(self.tokens, self.targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()


def record(shape, program, dtype, seconds):
    tokens = SEQUENCES * shape.training_tokens
    return {
        "kind": "speed",
        "program": program,
        "dtype": dtype,
        "shape": shape.name,
        "parameters": shape.parameters(),
        "sequences": SEQUENCES,
        "tokens": shape.training_tokens,
        "seconds": seconds,
        "tokens_per_s": tokens / seconds,
        "flops": tokens / seconds * shape.training_flops(shape.training_tokens),
    }


def terse_side(options, shape, precision):
    def side():
        arguments = ["--only", "training", "--sequences", SEQUENCES, "--tokens", shape.training_tokens]
        result, peaks = common.terse_bench(options, shape, precision, *arguments)
        training = result["training"]
        assert (training["sequences"], training["tokens"]) == (SEQUENCES, shape.training_tokens)
        return [record(shape, "terse", precision, training["seconds"]), peaks]

    return side


def peer_side(options, shape, program, dtype, update):
    def side():
        return [record(shape, program, dtype, common.median_seconds(update, options.seconds))]

    return side


def working_peers(log, options, shape):
    """Returns the sides of PyTorch, after one update of each. A compiler that does not work leaves a note."""
    fp32, bf16 = Peer(shape, torch.float32), Peer(shape, torch.bfloat16)
    ways = [
        ("PyTorch eager", "fp32", lambda: fp32.update(fp32.model, False)),
        ("PyTorch eager, autocast", "bf16", lambda: fp32.update(fp32.model, True)),
        ("PyTorch eager, weights in bf16", "bf16", lambda: bf16.update(bf16.model, False)),
        ("torch.compile, autocast", "bf16", lambda: fp32.update(fp32.compiled, True)),
        ("torch.compile, weights in bf16", "bf16", lambda: bf16.update(bf16.compiled, False)),
    ]
    sides = []
    for program, dtype, update in ways:
        try:
            update()
        except Exception as problem:  # torch.compile raises errors of its compiler, which have no type in common
            if "compile" not in program:
                raise
            log.write({"kind": "note", "program": program, "shape": shape.name, "note": str(problem).splitlines()[0]})
            continue
        sides.append(peer_side(options, shape, program, dtype, update))
    return sides


@torch.no_grad()
def check_decoder(log, shape, theirs):
    tokens = common.random_tokens(shape, 2, shape.training_tokens)
    expected = theirs(tokens).logits
    found = Decoder(shape, shape.training_tokens).copy_weights(theirs).logits(tokens)
    relative = ((found - expected).norm() / expected.norm()).item()
    where = {"program": "decoder.py", "shape": shape.name}
    parameters = sum(parameter.numel() for parameter in theirs.parameters())
    log.check("parameters that differ", abs(parameters - shape.parameters()), 0, **where)
    log.check("relative difference of the logits in fp32", relative, checks.LARGEST_RELATIVE, **where)


def compare(log, options, shape):
    folder, theirs = checks.make_and_load(options, shape)
    checks.check_terse(log, options, folder, theirs)
    check_decoder(log, shape, theirs)
    del theirs
    fp32, bf16 = (terse_side(options, shape, precision) for precision in ("fp32", "bf16"))
    eager_fp32, *others = working_peers(log, options, shape)
    common.alternate(log, options.runs, [fp32, eager_fp32, bf16, *others])
    torch.compiler.reset()


def main():
    options = common.parse_options(__doc__)
    log = common.Log(options, "training")
    for shape in common.selected_shapes(options):
        compare(log, options, shape)


if __name__ == "__main__":
    main()
