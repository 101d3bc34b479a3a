"""Reads a C++ source as far as mutants need it: its tokens, which of them are in the body of a function, and which may be changed.

This is no parser. It relies on the format of scripts/format.sh: a binary operator has a space on both sides, and the brackets of a template
have none. The operators of operators.py never change comments, strings or preprocessor lines.
"""

import re
from dataclasses import dataclass

TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/)
      | (?P<directive>\#(?:[^\n]*\\\n)*[^\n]*)
      | (?P<string>(?:u8|[uUL])?R"(?P<fence>[^\s()\\]*)\(.*?\)(?P=fence)"|(?:u8|[uUL])?"(?:[^"\\\n]|\\.)*"|[uUL]?'(?:[^'\\\n]|\\.)+')
      | (?P<number>\.?[0-9](?:[eEpP][+-]|'[0-9a-zA-Z]|[0-9a-zA-Z_.])*)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<mark><<=|>>=|<=>|\.\.\.|->\*|::|->|\+\+|--|<<|&&|\|\||[-+*/%&|^=!<>]=|.)""",
    re.VERBOSE | re.DOTALL,
)
OPEN, CLOSE = {"(": ")", "[": "]", "{": "}"}, {")": "(", "]": "[", "}": "{"}

# Calls whose arguments are a message or a compile-time condition.
UNTOUCHED_CALLS = {"static_assert", "assert", "fail", "refuse", "warn", "say"}


@dataclass
class Token:
    kind: str  # string, number, name or mark
    text: str
    start: int
    end: int
    line: int  # from 1
    partner: int = -1  # of a bracket: the index of the bracket that closes or opens it
    in_function: bool = False
    touchable: bool = True
    spaced: bool = False  # white space on both sides


def tokenize(text):
    tokens, line, at, line_start = [], 1, 0, True
    while at < len(text):
        match = TOKEN.match(text, at)
        kind = match.lastgroup if match.lastgroup != "fence" else "string"
        piece = match.group()
        if kind == "directive" and not line_start:  # a # a # that does not begin a line is no directive
            kind, piece = "mark", "#"
        if kind not in ("skip", "directive"):
            tokens.append(Token(kind, piece, at, at + len(piece), line))
        line_start = "\n" in piece if kind == "skip" else kind == "directive"
        line += piece.count("\n")
        at += len(piece)
    return tokens


class Source:
    """The tokens of one file. Each bracket knows the index of its partner."""

    def __init__(self, text):
        self.text = text
        self.tokens = tokenize(text)
        self._pair_brackets()
        self._find_functions()
        self._find_untouchable()
        for token in self.tokens:
            before, after = text[token.start - 1 : token.start], text[token.end : token.end + 1]
            token.spaced = before.isspace() and after.isspace()

    def is_text(self, index, *texts):
        return 0 <= index < len(self.tokens) and self.tokens[index].text in texts

    def slice(self, first, last):
        """Returns the text from token `first` to token `last`, both included."""
        return self.text[self.tokens[first].start : self.tokens[last].end]

    def statement_end(self, index):
        """Returns the index of the semicolon that ends the statement which begins at `index`, or None."""
        while index < len(self.tokens):
            token = self.tokens[index]
            if token.text == ";":
                return index
            if token.text in CLOSE:
                return None
            index = max(token.partner, index) + 1
        return None

    def _pair_brackets(self):
        stack = []
        for index, token in enumerate(self.tokens):
            if token.kind != "mark":
                continue
            if token.text in OPEN:
                stack.append(index)
            elif token.text in CLOSE and stack and self.tokens[stack[-1]].text == CLOSE[token.text]:
                token.partner = stack.pop()
                self.tokens[token.partner].partner = index

    def _find_functions(self):
        """Distinguishes the braces of functions from all others (of a namespace, a class, a list of values). Everything in a function belongs to it."""
        kinds, head = [], []  # head: the tokens since the last statement or brace
        for token in self.tokens:
            inside = "function" in kinds
            token.in_function = inside
            if token.text == "{":
                words = {t.text for t in head}
                if inside or ("(" in words and not words & {"namespace", "class", "struct", "enum", "union"}):
                    kinds.append("function")
                else:
                    kinds.append("other")
            elif token.text == "}" and kinds:
                kinds.pop()
            head = [] if token.text in ("{", "}", ";") else [*head, token]

    def _find_untouchable(self):
        for index, token in enumerate(self.tokens):
            first = last = index
            if token.kind == "name" and self.is_text(index + 1, "("):
                prefix = token.text.startswith(("refuse_", "describe"))
                sentence = token.text in ("format", "print") and self._opens_with_a_sentence(index + 2)
                if token.text in UNTOUCHED_CALLS or prefix or sentence:
                    first, last = index + 1, self.tokens[index + 1].partner
            elif token.text == "throw":
                first, last = index, self.statement_end(index) or index
            elif token.text == "[" and self.is_text(index + 1, "["):  # an attribute
                first, last = index, token.partner
            for inner in self.tokens[first : last + 1] if last > first else []:
                inner.touchable = False

    def _opens_with_a_sentence(self, index):
        return index < len(self.tokens) and self.tokens[index].kind == "string" and " " in self.tokens[index].text
