"""Makes a model whose responses all have the same number of tokens, though terse and TRL sample them at temperature 1.

A comparison of GRPO needs equal lengths. Suppressing the end token would give them, but terse counts a response that is cut as wrong, and
then no rollout would have an advantage. So the model ends each response by itself: it says one of 8 letters, then always the same tokens
one after the other, then the end token. The letters have different rewards, so the rollouts of a group have different advantages.

The feed-forward part of the first block holds the sequence: neuron i answers to token i and adds the direction of the token that follows
it. What the other neurons and attention add is random and too small to matter, but it costs the same time as in any other model.
"""

import json
import random

import shapes
import torch
import transformers
from grpo_task import LETTERS, PROMPT_END

EMBEDDING_NORM = 6.0  # of the tokens of the sequence: their logits are so far above the others that no other token is ever sampled
STRENGTH = 100.0  # of a direction that a neuron adds, beside which the embedding of the token itself hardly counts
OTHERS = 1e-3  # factor of what the rest of the model adds


def sequence_ids(tokenizer, new_tokens):
    """Returns the id that ends a prompt, those of the letters, and those that follow a letter, up to the end token."""
    ids = tokenizer.get_vocab()
    letters = [ids[letter] for letter in LETTERS]
    words = sorted(ids[word] for word in ids if word.isascii() and word.isalpha() and word not in LETTERS)
    return ids[PROMPT_END], letters, [*words[: new_tokens - 2], tokenizer.eos_token_id]


def edges(begin, letters, rest):
    """Yields each token with those that may follow it."""
    yield begin, letters
    for letter in letters:
        yield letter, [rest[0]]
    for token, following in zip(rest, rest[1:]):
        yield token, [following]


def common_direction(vectors):
    """The direction whose products with all these vectors are equal. So the letters are equally likely, though they are not orthogonal."""
    return torch.nn.functional.normalize(torch.linalg.pinv(vectors).sum(1), dim=0)


@torch.no_grad()
def write_sequence(model, begin, letters, rest):
    embeddings, block = model.model.embed_tokens.weight, model.model.layers[0]
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.mul_(OTHERS)
        layer.mlp.down_proj.weight.mul_(OTHERS)
    block.post_attention_layernorm.weight.fill_(1)
    model.model.norm.weight.fill_(1)
    used = torch.tensor([begin, *letters, *rest])
    embeddings[used] = EMBEDDING_NORM * torch.nn.functional.normalize(embeddings[used], dim=-1)
    size = embeddings.shape[1]  # the square of the norm of a normed hidden state
    for neuron, (token, following) in enumerate(edges(begin, letters, rest)):
        block.mlp.gate_proj.weight[neuron] = block.mlp.up_proj.weight[neuron] = embeddings[token] / EMBEDDING_NORM
        block.mlp.down_proj.weight[:, neuron] = STRENGTH / size * common_direction(embeddings[following])


def make_model(folder, shape, new_tokens):
    """Writes the model and its tokenizer as a Hugging Face folder."""
    original = shapes.make_folder(folder.with_name(f"{folder.name}-random"), shape)
    tokenizer = transformers.AutoTokenizer.from_pretrained(original)
    model = transformers.AutoModelForCausalLM.from_pretrained(original, dtype=torch.float32)
    write_sequence(model, *sequence_ids(tokenizer, new_tokens))
    original.rename(folder)
    model.save_pretrained(folder)
    return folder, tokenizer


def write_prompts(path, tokenizer, prompts, prompt_tokens):
    """Writes random digits, each of which is one token. There is one prompt more, to evaluate on."""
    numbers = random.Random(1)
    texts = ["".join(numbers.choice("0123456789") for _ in range(prompt_tokens - 1)) + PROMPT_END for _ in range(prompts + 1)]
    if any(len(tokenizer(text).input_ids) != prompt_tokens for text in texts):
        raise RuntimeError(f"a prompt has not {prompt_tokens} tokens")
    path.write_text(json.dumps(texts))
    return path
