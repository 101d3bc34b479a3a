#!/usr/bin/env python3
"""Checks the outputs of terse convert with transformers, tokenizers and the Python package gguf.

Run it by hand with a Python that has torch, transformers, accelerate and gguf: check_with_transformers.py build/terse. It converts the fixtures of
make_models.py with a real tokenizer in every way, and compares tensors, logits, token ids and chats with those of the original.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy
import torch
import transformers

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
TOKENIZERS = Path(__file__).resolve().parents[3] / "data" / "tokenizers" / "fixtures"
TEMPLATE = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}"
TEXTS = ["Hello, world! 12345", "  naïve\n\tcafé 'tis", "def f(x): return x ** 2"]
CASES = {"llama": ("llama3", "fp32"), "mistral": ("gpt2", "bf16"), "qwen2": ("qwen2", "fp16"), "qwen3": ("smollm", "fp32")}
terse = Path(sys.argv[1]).resolve()


def convert(*arguments):
    done = subprocess.run([terse, "convert", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    print(done.stderr + done.stdout, end="")


def widened(name, tokenizer, folder):
    """A copy of a fixture whose vocabulary is larger than the tokenizer's, with random rows for the new ids."""
    document = json.loads((TOKENIZERS / f"{tokenizer}.tokenizer.json").read_text())
    size = max([*document["model"]["vocab"].values(), *(t["id"] for t in document["added_tokens"])]) + 1
    model = transformers.AutoModelForCausalLM.from_pretrained(FIXTURES / name, dtype="auto")
    torch.manual_seed(1)
    model.resize_token_embeddings(size + 7, mean_resizing=False)
    model.save_pretrained(folder)
    shutil.copy(TOKENIZERS / f"{tokenizer}.tokenizer.json", folder / "tokenizer.json")
    special = [t["content"] for t in document["added_tokens"] if t["special"]]
    ends = {"bos_token": special[0], "eos_token": special[-1], "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(ends))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


def logits(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    with torch.no_grad():
        return model, model(torch.tensor([[3, 17, 0, 29, 5, 11, 30, 2, 8, 23, 1]])).logits


def check_folder(folder, original):
    theirs, expected = logits(original)
    ours, found = logits(folder)
    assert torch.equal(found, expected), (found - expected).abs().max()
    for (name, a), (_, b) in zip(theirs.state_dict().items(), ours.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    one, other = (transformers.AutoTokenizer.from_pretrained(f) for f in (original, folder))
    for text in TEXTS:
        assert one(text).input_ids == other(text).input_ids, text
    assert (one.bos_token, one.eos_token) == (other.bos_token, other.eos_token)
    chat = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]
    assert one.apply_chat_template(chat, tokenize=False) == other.apply_chat_template(chat, tokenize=False)
    assert theirs.generation_config.eos_token_id is None or ours.generation_config.eos_token_id is not None


def check_gguf(path, original):
    """llama.cpp's converter gives the same tensors: gguf.quants and its order of rows."""
    reader = gguf.GGUFReader(path)
    print(f"{path.name}: {len(reader.tensors)} tensors, {len(reader.fields)} fields read by gguf")
    config = transformers.AutoConfig.from_pretrained(original)
    model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, config=config, dtype=torch.float32)
    for name, weight in logits(original)[0].state_dict().items():
        assert torch.equal(weight, model.state_dict()[name]), name
    tokens = reader.get_field("tokenizer.ggml.tokens").contents()
    assert len(tokens) == config.vocab_size and tokens[-1].startswith("[PAD"), (len(tokens), config.vocab_size)
    assert reader.get_field("tokenizer.chat_template").contents() == TEMPLATE
    tokenizer, ids = transformers.AutoTokenizer.from_pretrained(original), {token: i for i, token in enumerate(tokens)}
    for text in TEXTS:
        for token in tokenizer.tokenize(text):
            assert ids[token] == tokenizer.convert_tokens_to_ids(token), token


def check_q8(path, original):
    for tensor in gguf.GGUFReader(path).tensors:
        if tensor.tensor_type == gguf.GGMLQuantizationType.Q8_0:
            values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            again = gguf.quants.quantize(values, tensor.tensor_type)
            assert numpy.array_equal(again, tensor.data), tensor.name


with tempfile.TemporaryDirectory() as root:
    for name, (tokenizer, dtype) in CASES.items():
        here = Path(root) / name
        original = widened(name, tokenizer, here / "original")
        convert(original, here / "hf")
        check_folder(here / "hf", original)
        convert(original, here / "checkpoint", "--to", "checkpoint")
        convert(here / "checkpoint", here / "from-checkpoint", "--dtype", dtype)
        check_folder(here / "from-checkpoint", original)
        convert(here / "checkpoint", here / "model.gguf", "--dtype", dtype)
        check_gguf(here / "model.gguf", original)
        convert(here / "model.gguf", here / "from-gguf", "--dtype", dtype)
        check_folder(here / "from-gguf", original)
        convert(original, here / "q8.gguf", "--dtype", "q8_0")
        check_q8(here / "q8.gguf", original)
print("all outputs are right")
