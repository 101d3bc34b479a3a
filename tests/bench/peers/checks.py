"""Shows that the programs compute the same: terse and the peers give equal logits for equal weights and tokens."""

import tempfile
from pathlib import Path

import compare
import shapes
import torch
import transformers

LARGEST_RELATIVE = compare.LARGEST_RELATIVE  # norm of the difference / norm, in fp32


def load(folder, dtype=torch.float32):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    model.generation_config.eos_token_id = None  # nothing ends a response early
    model.generation_config.pad_token_id = 0
    return model


def make_and_load(options, shape):
    """Makes the folder of a shape with random weights, and returns it and transformers' model in fp32."""
    folder = shapes.make_folder(options.work / shape.name, shape)
    return folder, load(folder)


def check_terse(log, options, folder, model):
    """terse and transformers."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with tempfile.TemporaryDirectory() as root:
        prompts = compare.PROMPTS[:1]
        answers = compare.ours(options.logits, folder, Path(root), prompts)
        same_ids, _, relative, _ = compare.compare(answers[0], prompts[0], tokenizer, model)
    where = {"program": "transformers", "shape": folder.name}
    log.check("token ids that differ", int(not same_ids), 0, **where)
    log.check("relative difference of the logits in fp32", relative, LARGEST_RELATIVE, **where)
