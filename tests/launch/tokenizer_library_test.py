"""Compares `terse tokenizer` with the `tokenizers` library of Python: training, the file that it writes, and ids.

It runs in the Python environment of the tests, which has the library.
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

CACHE = Path(os.environ.get("TERSE_CACHE") or Path.home() / ".cache/terse")
VENV = CACHE / "test-venv/bin/python"
if VENV.exists() and Path(sys.executable) != VENV:
    os.execv(VENV, [VENV, *sys.argv])

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
TERSE = os.environ.get("TERSE_PROGRAM", str(ROOT / "build/terse"))
CORPUS = ROOT / "data/corpora/tinyshakespeare.txt"
SPECIAL = ["<|endoftext|>", "<|im_start|>"]


def terse(*words, text=None):
    return subprocess.run([TERSE, "tokenizer", *words], input=text, check=True, capture_output=True).stdout.decode()


def sources():
    """Text of this tree: code, prose, numbers, long lines."""
    files = sorted(path for folder in ("base", "docs", "scripts") for path in (ROOT / folder).rglob("*") if path.suffix in (".cpp", ".md", ".sh"))
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


class TokenizerLibrary(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def library(self, pattern):
        """A tokenizer of the library that has learned from the corpus."""
        tokenizer = Tokenizer(models.BPE())
        steps = [pre_tokenizers.Split(Regex(pattern), "isolated")] if pattern else []
        steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not pattern))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=3000, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
        tokenizer.train_from_iterator([CORPUS.read_text(encoding="utf-8")], trainer)
        return tokenizer

    def trained(self, name):
        path = self.folder / f"{name}.json"
        special = [word for token in SPECIAL for word in ("--special", token)]
        terse("train", str(CORPUS), "-o", str(path), "--kind", "bpe", "--vocab-size", "3000", "--pattern", name, *special)
        return path

    def test_training_gives_the_vocabulary_of_the_library(self):
        for name in ("gpt2", "llama3", "qwen2"):
            path = self.trained(name)
            ours = json.loads(path.read_text(encoding="utf-8"))
            steps = ours["pre_tokenizer"]["pretokenizers"]
            pattern = steps[0]["pattern"]["Regex"] if steps[0]["type"] == "Split" else None
            theirs = json.loads(self.library(pattern).to_str())
            self.assertEqual(ours["model"]["merges"], theirs["model"]["merges"], name)
            self.assertEqual(ours["model"]["vocab"], theirs["model"]["vocab"], name)

    def test_the_library_reads_the_file_and_gives_the_same_ids(self):
        text = sources()
        for name in ("gpt2", "llama3", "qwen2"):
            path = self.trained(name)
            reference = Tokenizer.from_file(str(path))
            reference.encode_special_tokens = True
            ids = [int(word) for word in terse("encode", str(path), text=text.encode()).split()]
            self.assertEqual(ids, reference.encode(text, add_special_tokens=False).ids, name)
            decoded = terse("decode", str(path), text=" ".join(map(str, ids)).encode())
            self.assertEqual(decoded, text + "\n")


if __name__ == "__main__":
    unittest.main()
