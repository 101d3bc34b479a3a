"""The shapes of the models that the comparisons with other programs use, their configurations for terse, and their floating-point operations.

Each shape becomes a Hugging Face folder with random weights, which terse and transformers both read. So both have the same weights.
The modules `tiny`, `compare` and `sft_steps` are in tests/models/, which scripts/bench_peers.sh puts into Python's path.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import tiny
import torch
import transformers

ROOT = Path(__file__).resolve().parents[3]
MAX_SEQ_LEN = 1024  # the longest sequence of any comparison has 576 tokens


@dataclass(frozen=True)
class Shape:
    name: str
    layers: int
    hidden_size: int
    heads: int
    kv_heads: int
    intermediate_size: int
    vocab: int
    qk_norm: bool  # True: the family is Qwen3; False: Llama
    training_tokens: int  # of a sequence in training
    rope_theta: float = 10000.0
    norm_eps: float = 1e-6

    @property
    def head_dim(self):
        return self.hidden_size // self.heads

    def block_weights(self):
        """The weights of one block that multiply a token."""
        attention = self.hidden_size * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        return attention + 3 * self.hidden_size * self.intermediate_size

    def parameters(self):
        norms = self.layers * (2 * self.hidden_size + 2 * self.head_dim * self.qk_norm) + self.hidden_size
        return self.layers * self.block_weights() + self.vocab * self.hidden_size + norms

    def forward_flops(self, attended):
        """Of one token that attends to this many tokens."""
        weights = self.layers * self.block_weights() + self.vocab * self.hidden_size
        return 2 * weights + 4 * self.layers * self.heads * self.head_dim * attended

    def training_flops(self, tokens):
        """Of one token of an update, in sequences of this length. The backward pass costs twice the forward pass."""
        return 3 * self.forward_flops(tokens / 2)


SHAPES = [
    Shape("10m", 6, 384, 6, 6, 1024, 1024, True, 256),
    Shape("30m", 8, 512, 8, 8, 1408, 8192, True, 256),
    Shape("124m", 12, 768, 12, 12, 2048, 50304, True, 256),
    Shape("smollm2-135m", 30, 576, 9, 3, 1536, 49152, False, 512, 100000.0, 1e-5),
]
QUICK = Shape("quick", 2, 128, 2, 1, 256, 1024, True, 32)  # shows in seconds that a comparison works


def shape_named(name):
    return next(shape for shape in SHAPES if shape.name == name)


def write_config(path, shape, precision, threads):
    """Writes a configuration of terse with this shape."""
    config = {
        "stages": ["eval"],
        "run": {"device": "cpu", "threads": threads},
        "model": {
            "layers": shape.layers,
            "hidden_size": shape.hidden_size,
            "heads": shape.heads,
            "kv_heads": shape.kv_heads,
            "intermediate_size": shape.intermediate_size,
            "vocab_size": shape.vocab,
            "qk_norm": shape.qk_norm,
            "rope_theta": shape.rope_theta,
            "norm_eps": shape.norm_eps,
            "max_seq_len": MAX_SEQ_LEN,
            "precision": precision,
        },
    }
    path.write_text(json.dumps(config))  # JSON is YAML
    return path


def make_folder(folder, shape):
    """Writes a Hugging Face folder with random weights of this shape in fp32, and with a tokenizer of fewer ids than the model has."""
    options = {
        "vocab_size": shape.vocab,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "max_position_embeddings": MAX_SEQ_LEN,
        "initializer_range": 0.02,
        "rms_norm_eps": shape.norm_eps,
        "tie_word_embeddings": True,
        "rope_parameters": tiny.plain(shape.rope_theta),
    }
    family = transformers.Qwen3Config if shape.qk_norm else transformers.LlamaConfig
    tiny.make(tiny.Model(shape.name, family, "smollm", torch.float32, options), folder)
    return folder
