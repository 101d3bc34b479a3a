#!/usr/bin/env python3
"""Compares terse with transformers on a model that exists: token ids, logits and greedy continuations of 20 prompts.

    scripts/compare_model.sh [MODEL [REFERENCE]]

MODEL is what terse reads: a Hugging Face folder, a GGUF file, a checkpoint or a run folder. REFERENCE is what transformers reads, a folder
or a GGUF file (default: MODEL). transformers takes the weights of a GGUF file apart into fp32 itself, with the package gguf. The script
prints the largest differences, and fails when a limit is exceeded.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import torch
import transformers

NEW_TOKENS = 64
LARGEST_ABSOLUTE = 1e-3
LARGEST_RELATIVE = 1e-5  # of all logits of a prompt: norm of the difference / norm
PROMPTS = [
    "What is the capital of France?",
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many clips did she sell altogether?",
    "Write a haiku about the sea.",
    "Translate 'good morning' into Spanish, German and Japanese.",
    "def fibonacci(n):\n    # complete this function in Python",
    "List three prime numbers above 100.",
    "Why is the sky blue? Answer in one sentence.",
    "Ein Satz auf Deutsch, mit Umlauten: äöüß. Was bedeutet er?",
    "请用一句话介绍北京。",
    "Summarise: The quick brown fox jumps over the lazy dog. The dog does not mind.",
    "What is 12 * 12 + 7?",
    "Give me a JSON object with the keys name and age.",
    "Who wrote 'Romeo and Juliet'?",
    "Name an animal that flies 🦅 and one that swims 🐟.",
    "Explain photosynthesis to a child.",
    "x",
    "Continue the sequence: 2, 4, 8, 16,",
    "Is <|im_end|> a word?",
    "How do I boil an egg?\n\nPlease number the steps.",
    "Tell me a joke about compilers.",
]


def ours(program, model, folder, prompts=PROMPTS):
    requests = "".join(json.dumps({"messages": [{"role": "user", "content": text}], "new": NEW_TOKENS}) + "\n" for text in prompts)
    done = subprocess.run([program, str(model), str(folder / "logits")], input=requests, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def load_reference(path):
    where = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name} if path.is_file() else {"pretrained_model_name_or_path": str(path)}
    tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
    model = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    return tokenizer, model.eval()


@torch.no_grad()
def compare(answer, text, tokenizer, model):
    """Returns (same ids, largest difference of a logit, relative difference, equal tokens of the continuation)."""
    hostile = any(token in text for token in tokenizer.all_special_tokens)
    ids = tokenizer.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True, return_dict=False)
    # transformers turns the text of a user into special tokens, and terse does not.
    same_ids = True if hostile else ids == answer["tokens"]
    tokens = torch.tensor([answer["tokens"]])
    theirs = model(tokens).logits[0].float()
    logits = torch.from_numpy(numpy.fromfile(answer["logits"], dtype=numpy.float32)).view(len(answer["tokens"]), -1)
    difference = logits - theirs
    output = model.generate(
        tokens, attention_mask=torch.ones_like(tokens), do_sample=False, max_new_tokens=NEW_TOKENS, eos_token_id=None, pad_token_id=0
    )
    continuation = output[0, tokens.shape[1] :].tolist()
    equal = next((i for i, (a, b) in enumerate(zip(continuation, answer["continuation"])) if a != b), NEW_TOKENS)
    return same_ids, difference.abs().max().item(), (difference.norm() / theirs.norm()).item(), equal


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="build/tests/model_logits")
    parser.add_argument("model")
    parser.add_argument("reference", nargs="?")
    given = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    tokenizer, model = load_reference(Path(given.reference or given.model).resolve())
    with tempfile.TemporaryDirectory() as folder:
        answers = ours(given.program, given.model, Path(folder))
        results = [compare(answer, text, tokenizer, model) for answer, text in zip(answers, PROMPTS)]
    for text, (same_ids, absolute, relative, equal) in zip(PROMPTS, results):
        print(f"{text[:40]!r:44} ids {'equal' if same_ids else 'DIFFER'}, logits {absolute:.2g} ({relative:.2g}), {equal} of {NEW_TOKENS} tokens equal")
    absolute, relative = max(r[1] for r in results), max(r[2] for r in results)
    identical = sum(r[3] == NEW_TOKENS for r in results)
    print(f"largest difference of a logit {absolute:.3g}, relative {relative:.3g}; {identical} of {len(results)} continuations identical")
    right = all(r[0] for r in results) and absolute <= LARGEST_ABSOLUTE and relative <= LARGEST_RELATIVE and identical == len(results)
    sys.exit(0 if right and len(results) == len(PROMPTS) else 1)


if __name__ == "__main__":
    main()
