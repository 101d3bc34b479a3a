"""Compares what terse convert makes of a model with the model itself, by transformers, tokenizers and the Python package gguf."""

import json
import subprocess

import gguf
import numpy
import safetensors.torch
import torch
import transformers

IDS = [3, 17, 0, 29, 5, 11, 30, 2, 8, 23, 1, 650, 703]
TEXTS = ["Hello, world! 12345", "  naïve\n\tcafé 'tis", "def f(x): return x ** 2"]
CHAT = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]


class Different(Exception):
    pass


def require(equal, what):
    if not equal:
        raise Different(what)


def run(*arguments):
    done = subprocess.run([*map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise Different(f"{' '.join(map(str, arguments))} ended with {done.returncode}: {done.stderr.strip()}")


def tensors_of(folder):
    """The tensors as they are stored."""
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= safetensors.torch.load_file(file)
    return tensors


def logits(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        return model, model(torch.tensor([IDS])).logits


def check_folder(folder, original):
    before, after = tensors_of(original), tensors_of(folder)
    require(before.keys() == after.keys(), f"the names of tensors: {before.keys() ^ after.keys()}")
    for name, tensor in before.items():
        same = tensor.dtype == after[name].dtype and torch.equal(tensor.view(torch.uint8), after[name].view(torch.uint8))
        require(same and tensor.shape == after[name].shape, f"the bytes of {name}")
    (theirs, expected), (ours, found) = logits(original), logits(folder)
    require(torch.equal(found, expected), f"logits, by {(found - expected).abs().max():.2g}")
    one, other = (transformers.AutoTokenizer.from_pretrained(f) for f in (original, folder))
    for text in TEXTS:
        require(one(text).input_ids == other(text).input_ids, f"the ids of {text!r}")
    require((one.bos_token, one.eos_token) == (other.bos_token, other.eos_token), "the tokens that begin and end a text")
    require(one.apply_chat_template(CHAT, tokenize=False) == other.apply_chat_template(CHAT, tokenize=False), "a chat")
    require(ours.generation_config.eos_token_id is not None or theirs.generation_config.eos_token_id is None, "what ends a generation")


def check_gguf(path, original):
    """llama.cpp's converter gives the same tensors: gguf.quants and its order of rows."""
    reader = gguf.GGUFReader(path)
    config = transformers.AutoConfig.from_pretrained(original)
    # In a GGUF file Mistral is a llama. transformers cannot read the scaling of RoPE from it, so elsewhere it gets the config.
    given = {} if config.model_type == "mistral" else {"config": config}
    model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32, **given)
    for name, weight in logits(original)[0].state_dict().items():
        require(torch.equal(weight, model.state_dict()[name]), f"{name} of the GGUF file")
    tokens = reader.get_field("tokenizer.ggml.tokens").contents()
    require(len(tokens) == config.vocab_size and tokens[-1].startswith("[PAD"), f"a vocabulary of {len(tokens)} tokens")
    template = (original / "chat_template.jinja").read_text()
    require(reader.get_field("tokenizer.chat_template").contents() == template, "the chat template of the GGUF file")
    tokenizer, ids = transformers.AutoTokenizer.from_pretrained(original), {token: i for i, token in enumerate(tokens)}
    for text in TEXTS:
        for token in tokenizer.tokenize(text):
            require(ids[token] == tokenizer.convert_tokens_to_ids(token), f"the id of {token!r} in the GGUF file")


def check_q8(path):
    """Quantizing once more with llama.cpp's own code changes nothing."""
    quantized = [t for t in gguf.GGUFReader(path).tensors if t.tensor_type == gguf.GGMLQuantizationType.Q8_0]
    require(quantized, "no tensor of the GGUF file is Q8_0")
    for tensor in quantized:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        require(numpy.array_equal(gguf.quants.quantize(values, tensor.tensor_type), tensor.data), f"the blocks of {tensor.name}")


def compare_exports(terse, original, dtype, has_gguf):
    """Returns what to print, and what is wrong. dtype: that of the original, as PyTorch calls it."""
    here = original.parent
    kept = {"torch.float32": "fp32", "torch.float16": "fp16", "torch.bfloat16": "bf16"}[dtype]

    def convert(source, output, *options):
        run(terse, "convert", here / source, here / output, *options)

    def hf():
        convert("original", "hf")
        check_folder(here / "hf", original)

    def checkpoint():
        convert("original", "checkpoint", "--to", "checkpoint")
        convert("checkpoint", "from-checkpoint", "--dtype", kept)
        check_folder(here / "from-checkpoint", original)

    def gguf_file():
        convert("checkpoint", "model.gguf", "--dtype", kept)
        check_gguf(here / "model.gguf", original)
        convert("model.gguf", "from-gguf", "--dtype", kept)
        check_folder(here / "from-gguf", original)

    def q8():
        convert("original", "q8.gguf", "--dtype", "q8_0")
        check_q8(here / "q8.gguf")

    checks, wrong = [hf, checkpoint, *([gguf_file] if has_gguf else []), q8], []
    for check in checks:
        try:
            check()
        except Different as difference:
            wrong.append(f"export ({check.__name__}): {difference}")
    return f"{len(checks) - len(wrong)} of {len(checks)} exports equal", wrong
