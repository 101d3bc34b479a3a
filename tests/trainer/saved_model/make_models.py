#!/usr/bin/env python3
"""Makes the tiny models of model_files_test.cpp with transformers, and their logits as the reference.

Run it with a Python that has torch, transformers and gguf: make_models.py. It writes fixtures/NAME/ beside itself: a folder of Hugging
Face with expected.json, which holds token ids and the fp32 logits that transformers computes for them. model.gguf holds the same weights,
in the layout of llama.cpp; transformers reads it back to the same logits.
"""

import json
import shutil
from pathlib import Path

import gguf
import torch
import transformers

HERE = Path(__file__).resolve().parent / "fixtures"
TOKENS = [3, 17, 0, 29, 5, 5, 11, 30, 2, 8, 23, 1]
SHAPE = {
    "vocab_size": 32,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
}
# All but the factor are the numbers of Llama 3.1 and 3.2.
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 100000.0,
    "factor": 6.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
# These show in the logits of a short text. A GGUF file cannot tell them.
STRONG = {**LLAMA3, "rope_theta": 300.0, "original_max_position_embeddings": 16}


def plain(theta):
    return {"rope_type": "default", "rope_theta": theta}


MODELS = {
    "llama": (transformers.LlamaConfig, {"head_dim": 10, "tie_word_embeddings": True, "rope_parameters": LLAMA3}, torch.float32, None),
    "scaled": (transformers.LlamaConfig, {"tie_word_embeddings": True, "rope_parameters": STRONG}, torch.float32, None),
    "mistral": (transformers.MistralConfig, {"sliding_window": None, "rope_parameters": plain(1e4)}, torch.bfloat16, None),
    "qwen2": (transformers.Qwen2Config, {"tie_word_embeddings": True, "rope_parameters": plain(1e6)}, torch.float16, None),
    "qwen3": (transformers.Qwen3Config, {"head_dim": 16, "rope_parameters": plain(5e5)}, torch.float32, "12KB"),
}


def make(name, config_class, options, dtype, shard):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(len(name))
    model = transformers.AutoModelForCausalLM.from_config(config_class(**{**SHAPE, **options}))
    with torch.no_grad():
        for parameter in model.parameters():  # norms and biases begin as ones and zeros, which would hide mistakes
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    model = model.to(dtype)
    model.save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    (folder / "generation_config.json").unlink(missing_ok=True)
    reference = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    with torch.no_grad():
        logits = reference(torch.tensor([TOKENS])).logits[0]
        greedy = reference.generate(torch.tensor([TOKENS]), max_new_tokens=20, do_sample=False, eos_token_id=None, pad_token_id=0)
    expected = {
        "made_by": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}",
        "tokens": TOKENS,
        "logits": [[float(f"{x:.9g}") for x in row] for row in logits.tolist()],
        "greedy": greedy[0, len(TOKENS) :].tolist(),
    }
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")
    write_gguf(name, reference)
    assert check_gguf(name, expected["logits"]) < 1e-5


def llama_cpp_order(weight, heads):
    """The rows of a query or key projection as llama.cpp's conversion of Llama orders them."""
    rows = weight.shape[0] // heads // 2
    return weight.reshape(heads, 2, rows, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def llama3_factors(config, scaling):
    """By how much each rotary frequency is divided (modeling_rope_utils.py, _compute_llama3_parameters)."""
    plain = transformers.LlamaConfig(**{**SHAPE, "head_dim": config.head_dim, "rope_parameters": {**scaling, "rope_type": "default"}})
    frequencies = [transformers.models.llama.modeling_llama.LlamaRotaryEmbedding(c).inv_freq for c in (plain, config)]
    return frequencies[0] / frequencies[1]


def write_gguf(name, model):
    config = model.config
    architecture = {"mistral": "llama"}.get(config.model_type, config.model_type)
    writer = gguf.GGUFWriter(HERE / name / "model.gguf", architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, architecture.upper()), config.num_hidden_layers)
    if config.rope_parameters["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(config, config.rope_parameters).numpy())
    for key, weight in model.state_dict().items():
        if key == "lm_head.weight" and config.tie_word_embeddings:
            continue
        if architecture == "llama" and "q_proj" in key:
            weight = llama_cpp_order(weight, config.num_attention_heads)
        if architecture == "llama" and "k_proj" in key:
            weight = llama_cpp_order(weight, config.num_key_value_heads)
        writer.add_tensor(names.get_name(key, try_suffixes=(".weight", ".bias")), weight.float().contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def check_gguf(name, expected):
    """Compares the logits that transformers computes from the weights of model.gguf. It does not read all of its metadata."""
    config = None if name == "mistral" else transformers.AutoConfig.from_pretrained(HERE / name)
    model = transformers.AutoModelForCausalLM.from_pretrained(HERE / name, gguf_file="model.gguf", config=config, dtype=torch.float32)
    with torch.no_grad():
        logits = model(torch.tensor([TOKENS])).logits[0]
    difference = (logits - torch.tensor(expected)).abs().max().item()
    print(f"{name}/model.gguf: transformers' logits differ by {difference:.2g}")
    return difference


for name, (config_class, options, dtype, shard) in MODELS.items():
    make(name, config_class, options, dtype, shard)
