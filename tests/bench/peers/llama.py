#!/usr/bin/env python3
"""Compares the speed of generation: terse with llama.cpp, with the weights of SmolLM2-135M in F32 and BF16.

    scripts/bench_peers.sh llama-cpp

`terse convert` writes the GGUF files. llama.cpp decodes all sequences in one batch, with its defaults for keys and values (fp16) and for
attention, and its own sampler at temperature 1. `terse bench` has the shape of the model and random weights, which take the same time.
The batches are 1 and 32 prompts of 32 tokens, each with 64 new tokens.

Before the runs, the script checks that both give the same logits for the F32 file. The limit allows for keys and values of fp16.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import common
import compare
import generation
import llama_cpp
import numpy
import shapes

LARGEST_RELATIVE = 5e-3  # norm of the difference of the logits / norm
BATCHES = [(1, 1, 32), (32, 32, 32)]
GGUF_TYPES = {"fp32": "F32", "bf16": "BF16"}
CONTEXT = 256  # tokens that a sequence has room for: llama.cpp rounds up to this
MODEL = shapes.ROOT / "models/smollm2-135m.gguf"


@llama_cpp.llama_log_callback
def keep_quiet(level, text, data):
    pass


class Llama:
    """A model and a context of llama.cpp through its C functions. It decodes several sequences together."""

    def __init__(self, path, threads, sequences):
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        self.vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_seq_max = sequences * CONTEXT, sequences
        params.n_batch = max(2048, sequences)
        params.n_threads = params.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        self.batch = llama_cpp.llama_batch_init(sequences * CONTEXT, 0, 1)
        self.sampler = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        llama_cpp.llama_sampler_chain_add(self.sampler, llama_cpp.llama_sampler_init_temp(1.0))
        llama_cpp.llama_sampler_chain_add(self.sampler, llama_cpp.llama_sampler_init_dist(1))

    def close(self):
        llama_cpp.llama_sampler_free(self.sampler)
        llama_cpp.llama_batch_free(self.batch)
        llama_cpp.llama_free(self.context)
        llama_cpp.llama_model_free(self.model)

    def clear(self):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)

    def decode(self, rows):
        """rows: (token, position, sequence, whether its logits are wanted)."""
        batch = self.batch
        for i, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.logits[i] = token, position, wanted
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
        batch.n_tokens = len(rows)
        if llama_cpp.llama_decode(self.context, batch) != 0:
            raise RuntimeError("llama_decode failed")

    def logits(self, tokens):
        """Those of each token: [tokens, vocab]."""
        self.clear()
        self.decode([(token, i, 0, True) for i, token in enumerate(tokens)])
        rows = [llama_cpp.llama_get_logits_ith(self.context, i) for i in range(len(tokens))]
        return numpy.stack([numpy.ctypeslib.as_array(row, shape=(self.vocab,)).copy() for row in rows])

    def generate(self, prompts, added):
        self.clear()
        length, sequences = len(prompts[0]), range(len(prompts))
        self.decode([(token, i, s, i == length - 1) for s in sequences for i, token in enumerate(prompts[s])])
        wanted = [s * length + length - 1 for s in sequences]  # the rows of the batch that have logits
        new = 0
        while True:
            tokens = [llama_cpp.llama_sampler_sample(self.sampler, self.context, row) for row in wanted]
            new += 1
            if new == added:
                return
            self.decode([(token, length + new - 1, s, True) for s, token in zip(sequences, tokens)])
            wanted = list(sequences)


def terse_convert(options, model, path, dtype):
    subprocess.run([options.terse, "convert", model, path, "--dtype", dtype], check=True, capture_output=True)
    return path


def check_logits(log, options, path):
    with tempfile.TemporaryDirectory() as folder:
        answer = compare.ours(options.logits, path, Path(folder), compare.PROMPTS[:1])[0]
        ours = numpy.fromfile(answer["logits"], dtype=numpy.float32).reshape(len(answer["tokens"]), -1)
    llama = Llama(path, options.threads, 1)
    theirs = llama.logits(answer["tokens"])
    llama.close()
    relative = float(numpy.linalg.norm(ours - theirs) / numpy.linalg.norm(theirs))
    where = {"program": "llama.cpp", "shape": "smollm2-135m"}
    log.check("relative difference of the logits in fp32", relative, LARGEST_RELATIVE, **where)


def llama_side(options, shape, dtype, path, batches, added):
    def side():
        records = []
        for batch in batches:
            sequences, _, prompt_tokens = batch
            llama = Llama(path, options.threads, sequences)
            assert llama.vocab == shape.vocab
            prompts = common.random_tokens(shape, sequences, prompt_tokens).tolist()
            first, whole = (common.median_seconds(lambda n=n: llama.generate(prompts, n), options.seconds) for n in (1, added))
            llama.close()
            records.append(generation.record(shape, "llama.cpp", dtype, batch, added, whole, (whole - first) / (added - 1)))
        return records

    return side


def check_shape(options, shape):
    """The shape that is measured is that of the model."""
    folder = terse_convert(options, MODEL, options.work / "smollm2-hf", "fp32")
    config = json.loads((folder / "config.json").read_text())
    found = [config[key] for key in ("num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads", "intermediate_size")]
    expected = [shape.layers, shape.hidden_size, shape.heads, shape.kv_heads, shape.intermediate_size]
    if found != expected or config["vocab_size"] != shape.vocab:
        sys.exit(f"{MODEL} has the shape {found} with {config['vocab_size']} tokens, not {shape}")


def main():
    options = common.parse_options(__doc__)
    log = common.Log(options, "llama-cpp")
    llama_cpp.llama_log_set(keep_quiet, None)
    shape = shapes.shape_named("smollm2-135m")
    check_shape(options, shape)
    batches, added = ([(1, 1, 4), (4, 4, 4)], 4) if options.quick else (BATCHES, 64)
    sides = []
    for dtype, kind in GGUF_TYPES.items():
        path = terse_convert(options, MODEL, options.work / f"smollm2-{kind}.gguf", dtype)
        if dtype == "fp32":
            check_logits(log, options, path)
        sides.append(generation.terse_side(options, shape, dtype, batches, added))
        sides.append(llama_side(options, shape, dtype, path, batches, added))
    log.write({"kind": "note", "program": "llama.cpp", "note": llama_cpp.llama_print_system_info().decode()})
    common.alternate(log, options.runs, sides)


if __name__ == "__main__":
    main()
