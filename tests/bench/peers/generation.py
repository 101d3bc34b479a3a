#!/usr/bin/env python3
"""Compares the speed of generation: terse with `generate` of transformers, with the same shapes, tokens, dtype and threads.

    scripts/bench_peers.sh generation

Both sample 64 new tokens at temperature 1 from random weights, and nothing ends a response early. The batches are 1, 8 and 32 prompts of 32
tokens, and 16 samples of one prompt of 512 tokens. `step_seconds` is the time of one new token of every sequence, without the prompts.
"""

import gc

import checks
import common
import torch

BATCHES = [(1, 1, 32), (8, 8, 32), (32, 32, 32), (16, 1, 512)]  # sequences, prompts, tokens of each prompt
QUICK_BATCHES = [(1, 1, 4), (4, 4, 4), (4, 1, 16)]
BYTES = {"fp32": 4, "bf16": 2}
TORCH_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def record(shape, program, dtype, batch, added, seconds, step_seconds):
    sequences, prompts, prompt_tokens = batch
    return {
        "kind": "speed",
        "program": program,
        "dtype": dtype,
        "shape": shape.name,
        "sequences": sequences,
        "prompts": prompts,
        "prompt_tokens": prompt_tokens,
        "new_tokens": added,
        "seconds": seconds,
        "tokens_per_s": sequences * added / seconds,
        "step_seconds": step_seconds,
        "weight_bytes_per_s": shape.parameters() * BYTES[dtype] / step_seconds,
        "flops": sequences * shape.forward_flops(prompt_tokens + added / 2) / step_seconds,
    }


def terse_side(options, shape, dtype, batches, added):
    def side():
        records = []
        for batch in batches:
            sequences, prompts, prompt_tokens = batch
            chosen = ["--batch", sequences, "--prompts", prompts, "--prompt-tokens", prompt_tokens, "--new-tokens", added]
            result, peaks = common.terse_bench(options, shape, dtype, "--only", "generation", *chosen)
            (row,) = result["generation"]
            assert (row["sequences"], row["prompts"], row["prompt_tokens"], row["new_tokens"]) == (*batch, added)
            records += [record(shape, "terse", dtype, batch, added, row["seconds"], row["step_seconds"]), peaks]
        return records

    return side


@torch.no_grad()
def generate(model, shape, batch, added):
    sequences, prompts, prompt_tokens = batch
    ids = common.random_tokens(shape, prompts, prompt_tokens)
    sampling = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "num_return_sequences": sequences // prompts}
    output = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=added, **sampling)
    assert output.shape == (sequences, prompt_tokens + added)


def transformers_side(options, shape, dtype, model, batches, added):
    def side():
        records = []
        for batch in batches:
            prompts, whole = (
                common.median_seconds(lambda n=n: generate(model, shape, batch, n), options.seconds) for n in (1, added)
            )
            records.append(record(shape, "transformers", dtype, batch, added, whole, (whole - prompts) / (added - 1)))
        return records

    return side


def compare(log, options, shape):
    folder, model = checks.make_and_load(options, shape)
    checks.check_terse(log, options, folder, model)
    models = {"fp32": model, "bf16": checks.load(folder, torch.bfloat16)}
    batches, added = (QUICK_BATCHES, 8) if options.quick else (BATCHES, 64)
    sides = []
    for dtype in TORCH_TYPES:
        sides.append(terse_side(options, shape, dtype, batches, added))
        sides.append(transformers_side(options, shape, dtype, models[dtype], batches, added))
    common.alternate(log, options.runs, sides)


def main():
    options = common.parse_options(__doc__)
    log = common.Log(options, "generation")
    for shape in common.selected_shapes(options):
        compare(log, options, shape)
        gc.collect()  # the models of the last shape


if __name__ == "__main__":
    main()
