#!/usr/bin/env python3
"""Makes the files in fixtures/: small tokenizers trained by the `tokenizers` library, and the ids that it gives for odd texts.

    tests/data/tokenizers/make_fixtures.py

It needs the Python package `tokenizers` (made with 0.23.3). The tests compare terse with these files, so that they need no Python.
"""

import json
import random
import unicodedata
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).resolve().parent / "fixtures"
CORPUS = HERE.parents[3] / "data" / "corpora" / "tinyshakespeare.txt"

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def split(pattern):
    return [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]


def tokenizers():
    """(name, tokenizer) of each kind that models use."""
    gpt2 = Tokenizer(models.BPE())
    gpt2.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    smollm = Tokenizer(models.BPE())
    smollm.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    llama3 = Tokenizer(models.BPE(ignore_merges=True))
    llama3.pre_tokenizer = pre_tokenizers.Sequence(split(LLAMA3))
    qwen2 = Tokenizer(models.BPE())
    qwen2.normalizer = normalizers.NFC()
    qwen2.pre_tokenizer = pre_tokenizers.Sequence(split(QWEN2))
    prefix = Tokenizer(models.BPE())  # spaces before pieces, the behaviours of Split, numbers that stay whole
    prefix.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split("--", "merged_with_previous"),
            pre_tokenizers.Split(Regex(r"[!?]"), "merged_with_next"),
            pre_tokenizers.Split(Regex(r"[a-z]+"), "contiguous", invert=True),
            pre_tokenizers.Split(Regex(r"\t"), "removed"),
            pre_tokenizers.Digits(individual_digits=False),
            pre_tokenizers.ByteLevel(add_prefix_space=True),
        ]
    )
    return [("gpt2", gpt2), ("smollm", smollm), ("llama3", llama3), ("qwen2", qwen2), ("prefix", prefix)]


def train(tokenizer, name):
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    text = CORPUS.read_text(encoding="utf-8")[:200_000]
    tokenizer.train_from_iterator([text], trainer)
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False), AddedToken("<tool>s", normalized=False)])
    tokenizer.add_tokens([AddedToken("caf\u00e9", single_word=True), AddedToken("<gap>", lstrip=True, rstrip=True)])
    if name == "llama3":
        tokenizer.post_processor = processors.TemplateProcessing(single="<|im_start|> $A", special_tokens=[("<|im_start|>", 1)])


def odd_texts():
    """Texts of every script, and of what tokenizers treat in a special way."""
    random.seed(11)
    points = [c for c in range(1, 0x110000) if not 0xD800 <= c <= 0xDFFF]
    marks = [c for c in points if unicodedata.combining(chr(c))]
    spaces = [c for c in points if chr(c).isspace()] + [0x180E, 0x200B, 0xFEFF]
    texts = ["", " ", "\n", "a", "  a", "a  ", "\n\n a\r\n", "I'll we'Ve it'S '\u017f 'l l", "x\u0301\u0323e\u0301 \u1100\u1161\u11a8 \u212b"]
    texts += ["1234567 1\u0661\u0662 \u00b2\u2460\u2167", "<|im_end|>", "a<|im_start|>b", "<tool>s<tool> <tool", "caf\u00e9 caf\u00e9s (caf\u00e9)"]
    texts += ["cafe\u0301 cafe\u0301s", "a  <gap>  b <gap>", "x--y---z!?a!!\tb\t\t", "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea"]
    texts += ["a" * 300, " " * 100, "\n" * 70 + "x", "ab" * 100, "\u0e01\u0e33" * 40]
    for _ in range(60):
        pieces = []
        for _ in range(random.randint(1, 8)):
            block = random.choice(points) & ~0x7F
            kind = random.random()
            if kind < 0.4:
                pieces.append("".join(chr(c) for c in (block + random.randrange(128) for _ in range(4)) if c and not 0xD800 <= c <= 0xDFFF))
            elif kind < 0.6:
                pieces.append(random.choice("aeo ") + "".join(chr(random.choice(marks)) for _ in range(random.randint(1, 3))))
            elif kind < 0.8:
                pieces.append("".join(chr(random.choice(spaces)) for _ in range(random.randint(1, 3))))
            else:
                pieces.append("".join(random.choice("abcXYZ019 .,!?-'\"\t\n\r<|>") for _ in range(random.randint(1, 12))))
        texts.append("".join(pieces))
    return texts


def main():
    HERE.mkdir(exist_ok=True)
    texts = odd_texts()
    ids = {}
    for name, tokenizer in tokenizers():
        train(tokenizer, name)
        tokenizer.save(str(HERE / f"{name}.tokenizer.json"), pretty=False)
        template = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        tokenizer.encode_special_tokens = True
        plain = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        tokenizer.encode_special_tokens = False
        ids[name] = {"plain": plain, "template": template}
    document = {"texts": texts, "nfc": [normalizers.NFC().normalize_str(text) for text in texts], "ids": ids}
    (HERE / "expected.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
