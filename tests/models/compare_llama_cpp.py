#!/usr/bin/env python3
"""Compares greedy continuations of a model that terse exports as a GGUF file of fp16 with those of llama.cpp, on the prompts of compare.py.

    scripts/compare_model.sh --llama-cpp [MODEL]

terse computes in fp32. llama.cpp rounds the activations to fp16 before it multiplies them by weights of fp16. So two tokens whose logits
are almost equal may change places, and from there on the texts are others. The script prints where, and by how much llama.cpp prefers its
token to terse's. It fails if fewer than 18 of 20 prompts have at least 60 of 64 tokens in common, counted from the start.

llama.cpp also encodes each prompt by itself, from the chat template and the vocabulary in the GGUF file. It reads special tokens in the
text of a user, and terse does not. So a prompt with such a token must have other ids, and every other prompt the same ids.
"""

import argparse
import itertools
import sys
import tempfile
from pathlib import Path

import compare
import exports
import llama_cpp
import numpy
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

ENOUGH_TOKENS = 60
ENOUGH_PROMPTS = 18


class LlamaCpp:
    def __init__(self, path):
        self.llama = llama_cpp.Llama(str(path), n_ctx=1024, logits_all=False, verbose=False)
        ends = {f"{name}_token": self.text([token]) for name, token in (("bos", self.llama.token_bos()), ("eos", self.llama.token_eos()))}
        self.chat = Jinja2ChatFormatter(template=self.llama.metadata["tokenizer.chat_template"], **ends)

    def text(self, tokens):
        return self.llama.detokenize(tokens, special=True).decode(errors="replace") if -1 not in tokens else ""

    def tokens(self, text, special=True):
        return self.llama.tokenize(text.encode(), add_bos=False, special=special)

    def ids(self, text):
        """Those of a user's message."""
        chat = self.chat(messages=[{"role": "user", "content": text}])
        return self.tokens(chat.prompt)

    def continuation(self, tokens):
        return list(itertools.islice(self.llama.generate(tokens, temp=0, top_k=1), compare.NEW_TOKENS))

    def preference(self, tokens, one, other):
        """The logit of `one` after these tokens, less that of `other`."""
        self.llama.reset()
        self.llama.eval(tokens)
        logits = numpy.ctypeslib.as_array(llama_cpp.llama_get_logits(self.llama.ctx), shape=(self.llama.n_vocab(),))
        return float(logits[one] - logits[other])


def compare_prompt(theirs, answer, text):
    """Prints a line, and returns (the ids are as expected, tokens in common)."""
    tokens, ours = answer["tokens"], answer["continuation"]
    hostile = theirs.tokens(text) != theirs.tokens(text, special=False)
    same_ids = theirs.ids(text) == tokens
    found = theirs.continuation(tokens)
    common = next((i for i, (a, b) in enumerate(zip(ours, found)) if a != b), compare.NEW_TOKENS)
    parted = ""
    if common < compare.NEW_TOKENS:
        one, other = found[common], ours[common]
        by = theirs.preference(tokens + ours[:common], one, other)
        parted = f"; then terse has {theirs.text([other])!r}, llama.cpp {theirs.text([one])!r}, which it prefers by {by:.2g}"
    ids = "equal" if same_ids else "differ, because the prompt holds the text of a special token" if hostile else "DIFFER"
    print(f"{text[:40]!r:44} ids {ids}, {common} of {compare.NEW_TOKENS} tokens equal{parted}", flush=True)
    return same_ids != hostile, common


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("terse", help="build/terse")
    parser.add_argument("program", help="build/tests/model_logits")
    parser.add_argument("model", help="a model that terse reads")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        path = Path(root) / "model.gguf"
        exports.run(given.terse, "convert", given.model, path, "--dtype", "fp16")
        answers = compare.ours(given.program, path, Path(root))
        theirs = LlamaCpp(path)
        results = [compare_prompt(theirs, answer, text) for answer, text in zip(answers, compare.PROMPTS, strict=True)]
    identical = sum(common == compare.NEW_TOKENS for _, common in results)
    enough = sum(common >= ENOUGH_TOKENS for _, common in results)
    right_ids = sum(right for right, _ in results)
    print(
        f"{enough} of {len(results)} continuations have at least {ENOUGH_TOKENS} of {compare.NEW_TOKENS} tokens in common, "
        f"{identical} all of them; "
        f"the ids of {right_ids} prompts are as expected"
    )
    sys.exit(0 if enough >= ENOUGH_PROMPTS and right_ids == len(results) else 1)


if __name__ == "__main__":
    main()
