#!/usr/bin/env python3
"""Compares terse with transformers and PyTorch on tiny random models of every family that terse reads.

    scripts/compare_model.sh --tiny

Each model is made with transformers, and gets a tokenizer and the chat template ChatML. The script compares

1. token ids, fp32 logits and greedy continuations of a few prompts (compare.py),
2. what terse convert makes of the model: tensors, logits, token ids and chats (exports.py),
3. updates of fine-tuning by terse run with those of PyTorch (sft_steps.py).

It prints one line for each model with the largest differences, and it fails when a limit is exceeded.
"""

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import compare
import exports
import sft_steps
import tokenizers
import torch
import transformers

TOKENIZERS = Path(__file__).resolve().parents[1] / "data" / "tokenizers" / "fixtures"
TOKENIZER_IDS = 704
# Difference of a logit. It allows for rounding in fp32 at this initializer_range, where logits reach 5. At twice the range transformers'
# own logits in fp32 and fp64 differ by 4e-5.
LARGEST_ABSOLUTE = 1e-5
PROMPTS = [compare.PROMPTS[i] for i in (0, 4, 7, 8, 15, 17)]
SHAPE = {
    "vocab_size": TOKENIZER_IDS + 7,  # like real models, whose last ids no text has
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": None,
}
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def llama3(theta, original):
    return {
        "rope_type": "llama3",
        "rope_theta": theta,
        "factor": 6.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": original,
    }


def plain(theta):
    return {"rope_type": "default", "rope_theta": theta}


@dataclass
class Model:
    name: str
    config_class: type
    tokenizer: str
    dtype: torch.dtype
    options: dict
    shard: str = ""  # the largest size of a file; empty: one file
    gguf: bool = True


# RoPE turns pairs of numbers, so no head_dim can be odd. Most of these are no powers of two, and heads * head_dim is often not hidden_size.
MODELS = [
    Model(
        "qwen2",
        transformers.Qwen2Config,
        "qwen2",
        torch.float32,
        {"hidden_size": 80, "tie_word_embeddings": True, "rope_parameters": plain(1e6)},
    ),
    Model(
        "qwen2-untied",
        transformers.Qwen2Config,
        "qwen2",
        torch.bfloat16,
        {"hidden_size": 96, "num_key_value_heads": 1, "rope_parameters": plain(1e4)},
        shard="100KB",
    ),
    Model(
        "qwen3",
        transformers.Qwen3Config,
        "smollm",
        torch.bfloat16,
        {"head_dim": 20, "num_attention_heads": 6, "tie_word_embeddings": True, "rope_parameters": plain(5e5)},
    ),
    Model(
        "qwen3-untied",
        transformers.Qwen3Config,
        "qwen2",
        torch.float32,
        {"head_dim": 24, "rope_parameters": plain(1e6)},
        shard="100KB",
    ),
    Model(
        "llama",
        transformers.LlamaConfig,
        "llama3",
        torch.float32,
        {"head_dim": 20, "tie_word_embeddings": True, "rope_parameters": llama3(1e5, 8192)},
        shard="100KB",
    ),
    # This scaling shows in the logits of a short text. A GGUF file cannot tell it.
    Model(
        "llama-untied",
        transformers.LlamaConfig,
        "llama3",
        torch.bfloat16,
        {"num_key_value_heads": 4, "rope_parameters": llama3(300.0, 16)},
        gguf=False,
    ),
    Model(
        "mistral",
        transformers.MistralConfig,
        "gpt2",
        torch.float16,
        {"head_dim": 24, "sliding_window": None, "tie_word_embeddings": True, "rope_parameters": plain(1e4)},
    ),
    Model(
        "mistral-untied",
        transformers.MistralConfig,
        "gpt2",
        torch.bfloat16,
        {
            "hidden_size": 80,
            "head_dim": 12,
            "num_attention_heads": 5,
            "num_key_value_heads": 1,
            "sliding_window": None,
            "rope_parameters": plain(1e4),
        },
        shard="100KB",
    ),
]


def make(model, folder):
    torch.manual_seed(len(model.name))
    network = transformers.AutoModelForCausalLM.from_config(model.config_class(**{**SHAPE, **model.options}))
    with torch.no_grad():
        for parameter in network.parameters():  # norms and biases begin as ones and zeros, which would hide mistakes
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    network.to(model.dtype).save_pretrained(folder, **({"max_shard_size": model.shard} if model.shard else {}))
    if (len(list(folder.glob("*.safetensors"))) > 1) != bool(model.shard):
        raise RuntimeError(f"{model.name}: transformers has not split the weights as asked")
    shutil.copy(TOKENIZERS / f"{model.tokenizer}.tokenizer.json", folder / "tokenizer.json")
    begins = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).encode("").tokens  # one of these tokenizers adds a token
    config = {"bos_token": [*begins, "<|endoftext|>"][0], "eos_token": "<|im_end|>", "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "chat_template.jinja").write_text(CHATML)


def compare_texts(program, folder):
    """Returns what to print, and what is wrong."""
    tokenizer, network = compare.load_reference(folder)
    answers = compare.ours(program, folder, folder.parent, PROMPTS)
    results = [compare.compare(answer, text, tokenizer, network) for answer, text in zip(answers, PROMPTS, strict=True)]
    absolute, identical = max(r[1] for r in results), sum(r[3] == compare.NEW_TOKENS for r in results)
    wrong = [f"the ids of {text!r}" for text, result in zip(PROMPTS, results) if not result[0]]
    if not absolute <= LARGEST_ABSOLUTE:
        wrong.append(f"a logit differs by more than {LARGEST_ABSOLUTE:g}")
    if identical < len(results):
        wrong.append("not all continuations are identical")
    return f"logits {absolute:.2g}, {identical} of {len(results)} continuations of {compare.NEW_TOKENS} tokens", wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("terse", help="build/terse")
    parser.add_argument("program", help="build/tests/model_logits")
    given = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    terse = Path(given.terse).resolve()
    failed = 0
    for model in MODELS:
        with tempfile.TemporaryDirectory() as root:
            original = Path(root) / "original"
            make(model, original)
            parts, wrong = [], []
            for shown, found in (
                compare_texts(given.program, original),
                exports.compare_exports(terse, original, str(model.dtype), model.gguf),
                sft_steps.compare_steps(terse, original),
            ):
                parts.append(shown)
                wrong += found
        print(f"{model.name:14} {'; '.join(parts)}", flush=True)
        for problem in wrong:
            print(f"{model.name:14} WRONG: {problem}", flush=True)
        failed += bool(wrong)
    print(f"{len(MODELS) - failed} of {len(MODELS)} models agree")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
