#!/usr/bin/env python3
"""Compares tokenizer_bench with the `tokenizers` library of Python: the ids, and the speed on one thread.

    tests/bench/tokenizer_vs_python.py BENCH TOKENIZER.JSON [--reference TOKENIZER.JSON] FILE...

BENCH is the program build/tests/bench/tokenizer_bench. Each FILE is UTF-8 text, whose paragraphs (what two newlines separate) are encoded
one by one, and in a further round as one text. A .jsonl file has one text for each string in each line. The library loads the same tokenizer
as BENCH, or that of --reference. It encodes as encode() of terse does: special tokens in the text stay text.

Prints, for each file, the number of ids, how many of them differ, the speeds in MB/s and their ratio. Exits with 1 if an id differs.
"""

import os

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import argparse
import itertools
import json
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tokenizers import Tokenizer


def texts_of(path):
    """The documents of a file, without zero bytes, which separate documents."""
    text = path.read_bytes().decode("utf-8").replace("\0", "")
    if path.suffix == ".jsonl":
        return [value for line in text.splitlines() for value in json.loads(line).values() if isinstance(value, str) and value]
    return [part for part in text.split("\n\n") if part]


def ours(bench, tokenizer, texts):
    """The ids of each text, and the seconds."""
    with tempfile.TemporaryDirectory() as folder:
        documents, ids = Path(folder, "documents"), Path(folder, "ids")
        documents.write_bytes(b"".join(text.encode() + b"\0" for text in texts))
        printed = subprocess.run([bench, tokenizer, documents, ids], check=True, capture_output=True, text=True).stdout
        data = ids.read_bytes()
    result = [[]]
    for (value,) in struct.iter_unpack("<i", data):
        if value < 0:
            result.append([])
        else:
            result[-1].append(value)
    return result[:-1], float(printed)


def theirs(tokenizer, texts):
    fastest = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        result = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        fastest = min(fastest, time.perf_counter() - start)
    return result, fastest


def differences(ours, theirs):
    return sum(a != b for left, right in zip(ours, theirs, strict=True) for a, b in itertools.zip_longest(left, right))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bench")
    parser.add_argument("tokenizer")
    parser.add_argument("--reference")
    parser.add_argument("files", nargs="+", type=Path)
    given = parser.parse_args()
    reference = Tokenizer.from_file(given.reference or given.tokenizer)
    reference.encode_special_tokens = True
    wrong = 0
    for path in given.files:
        texts = texts_of(path)
        for name, documents in (("parts", texts), ("whole", ["\n\n".join(texts)])):
            size = sum(len(text.encode()) for text in documents) / 1e6
            our_ids, our_seconds = ours(given.bench, given.tokenizer, documents)
            their_ids, their_seconds = theirs(reference, documents)
            count, wrong_here = sum(map(len, their_ids)), differences(our_ids, their_ids)
            wrong += wrong_here
            print(f"{path.name} {name}: {count} ids, {wrong_here} differ, {size / our_seconds:.1f} MB/s, "
                  f"library {size / their_seconds:.1f} MB/s, ratio {their_seconds / our_seconds:.1f}", flush=True)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
