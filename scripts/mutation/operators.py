"""The operators that change the meaning of a source. Each lists the places where it applies.

A place is (first token, last token, new text): the text from the first to the last token is replaced. An operator only gives what is
likely to compile. A mutant that does not compile is reported as such.
"""

import re
from dataclasses import dataclass

from .source import Source

COMPARISONS = {"<": ["<=", ">="], "<=": ["<", ">"], ">": [">=", "<="], ">=": [">", "<"], "==": ["!="], "!=": ["=="]}
ARITHMETIC = {"+": ["-"], "-": ["+"], "*": ["/"], "/": ["*"], "%": ["/"], "&": ["|"], "|": ["&"], "^": ["|"], ">>": ["<<"]}
ASSIGNMENTS = {"+=": ["-=", "="], "-=": ["+=", "="], "*=": ["/=", "="], "/=": ["*=", "="], "|=": ["&=", "="], "&=": ["|=", "="]}
# Pairs of functions with the same form and another meaning. Each may replace the other.
TWINS = [("min", "max"), ("minimum", "maximum"), ("clamp_min", "clamp_max"), ("min_of", "max_of"), ("amin", "amax"), ("sum", "mean"),
         ("front", "back"), ("lower_bound", "upper_bound"), ("any_of", "all_of"), ("floor", "ceil"), ("sin", "cos"),
         ("logical_and", "logical_or"), ("begin", "end"), ("min_element", "max_element"), ("add_", "sub_")]  # fmt: skip
TWIN = {**dict(TWINS), **{right: left for left, right in TWINS}}
# A statement that begins with one of these is no plain call or assignment, or its removal changes no meaning.
KEYWORDS = set(
    "alignas assert auto break case catch class const constexpr continue default delete do else enum explicit extern for friend goto if "
    "inline namespace new operator private protected public return sizeof static static_assert struct switch template thread_local "
    "throw try typedef typename union using virtual volatile while".split()
)
INTEGER = re.compile(r"(0[xX][0-9a-fA-F']+|0[bB][01']+|[0-9][0-9']*)([uUlLzZ]*)")
FLOAT = re.compile(r"((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)([fFlL]?)")
LARGE = 16  # from here on, a user would seldom notice one more or one less


@dataclass(frozen=True)
class Change:
    operator: str
    line: int
    start: int  # offsets into the text of the file
    end: int
    text: str


def numbers_near(text):
    """Returns other values for a literal: one more and one less, or twice and half for a large decimal. A real becomes twice its value or 0."""
    if match := INTEGER.fullmatch(text):
        digits, suffix = match[1].replace("'", ""), match[2]
        base = {"0x": 16, "0b": 2}.get(digits[:2].lower(), 8 if digits.startswith("0") and digits != "0" else 10)
        value = int(digits, base)
        show = {16: hex, 2: bin, 8: lambda v: f"0{v:o}", 10: str}[base]
        if base == 10 and value >= LARGE:
            return [str(other) + suffix for other in (2 * value, value // 2)]
        return [show(other) + suffix for other in ([value + 1, value - 1] if value > 0 else [1])]
    if match := FLOAT.fullmatch(text):
        value = float(match[1])
        return [f"{other!r}{match[2]}" for other in ([2 * value, 0.0] if value != 0 else [1.0])]
    return []


class Operators:
    """Lists the places of one source. `defaults` maps 'section.member' and 'member' to the default of an option as C++ text."""

    def __init__(self, source: Source, defaults=None):
        self.source = source
        self.tokens = source.tokens
        self.defaults = defaults or {}
        self.loop_heads = self._loop_heads()

    def changes(self):
        found = []
        for index, token in enumerate(self.tokens):
            for operator in (self.token_changed, self.negation_removed, self.condition_negated, self.statement_dropped,
                             self.value_returned, self.arguments_swapped, self.range_shifted, self.option_ignored):  # fmt: skip
                for name, first, last, text in operator(index, token):
                    if all(t.touchable for t in self.tokens[first : last + 1]) or operator == self.statement_dropped:
                        found.append(Change(name, self.tokens[first].line, self.tokens[first].start, self.tokens[last].end, text))
        return found

    def token_changed(self, index, token):
        kinds = [("comparison", COMPARISONS), ("arithmetic", ARITHMETIC), ("logic", {"&&": ["||"], "||": ["&&"]})]
        if token.kind == "mark" and token.spaced:
            for name, table in [*kinds, ("assignment", {} if index in self.loop_heads else ASSIGNMENTS)]:
                for text in table.get(token.text, []):
                    yield name, index, index, text
        elif token.kind == "number" and not self._is_pure_virtual(index):
            for text in numbers_near(token.text):
                yield "number", index, index, text
        elif token.text in ("true", "false"):
            yield "truth", index, index, "false" if token.text == "true" else "true"
        elif token.in_function and token.text in TWIN and self.source.is_text(index + 1, "(", "<"):
            if self.source.is_text(index - 1, ".", "->", "::") or token.text.endswith("_of"):
                yield "twin", index, index, TWIN[token.text]

    def negation_removed(self, index, token):
        """!x becomes x, -x becomes x."""
        if token.text not in ("!", "-") or token.spaced or index + 1 >= len(self.tokens):
            return
        before = self.tokens[index - 1] if index else None
        if before and (before.text == "return" or (before.kind == "mark" and before.text not in (")", "]"))):
            yield "negation", index, index, ""

    def condition_negated(self, index, token):
        if token.text != "if" or not token.in_function:
            return
        opening = index + 2 if self.source.is_text(index + 1, "constexpr") else index + 1
        closing = self.tokens[opening].partner if self.source.is_text(opening, "(") else -1
        if closing < 0:
            return
        first = opening + 1
        for at in self._at_depth(first, closing):
            if self.tokens[at].text == ";":
                first = at + 1
        if not any(self.tokens[at].text == "=" for at in self._at_depth(first, closing)):  # otherwise it declares a variable
            yield "condition", first, closing - 1, f"!({self.source.slice(first, closing - 1)})"

    def statement_dropped(self, index, token):
        if not token.in_function or not self._begins_statement(index):
            return
        end = self.source.statement_end(index)
        if end is None:
            return
        if token.text in ("continue", "break", "throw") or (token.text == "return" and end == index + 1) or self._is_plain(index, end):
            yield "statement", index, end, "{}" + "\n" * self.source.slice(index, end).count("\n")

    def value_returned(self, index, token):
        if token.text == "return" and token.in_function:
            end = self.source.statement_end(index)
            if end and end > index + 1 and self.source.slice(index + 1, end - 1) not in ("{}", "0", "false", "nullptr", "*this"):
                yield "returned", index + 1, end - 1, "{}" + "\n" * self.source.slice(index + 1, end - 1).count("\n")

    def arguments_swapped(self, index, token):
        """f(a, b) becomes f(b, a) where both are names or members."""
        if token.text != "(" or token.partner < 0 or not token.in_function or not index or self.tokens[index - 1].kind != "name":
            return
        pieces, first = [], index + 1
        for at in [*self._at_depth(index + 1, token.partner), token.partner]:
            if self.tokens[at].text == "," or at == token.partner:
                pieces.append((first, at - 1))
                first = at + 1
        for (a, b), (c, d) in zip(pieces, pieces[1:]):
            left, right = self.source.slice(a, b), self.source.slice(c, d)
            if left != right and all(re.fullmatch(r"[A-Za-z_]\w*(?:(?:\.|->)\w+)*", text) for text in (left, right)):
                yield "swapped", a, d, f"{right}, {left}"

    def range_shifted(self, index, token):
        """x.begin() as an argument begins one later, and x.end() ends one earlier."""
        if token.text in ("begin", "end") and self.source.is_text(index + 1, "(") and self.source.is_text(index + 2, ")"):
            if self.source.is_text(index - 1, ".") and self.source.is_text(index + 3, ",", ")"):
                yield "range", index, index + 2, token.text + ("() + 1" if token.text == "begin" else "() - 1")

    def option_ignored(self, index, token):
        """config.section.member becomes the default of the option."""
        if not re.fullmatch(r"config_?|options_?", token.text) or self.source.is_text(index - 1, ".", "->", "::"):
            return
        last, members = index, []
        while self.source.is_text(last + 1, ".") and last + 2 < len(self.tokens) and self.tokens[last + 2].kind == "name":
            last += 2
            members.append(self.tokens[last].text)
            default = self.defaults.get(".".join(members[-2:])) or self.defaults.get(members[-1])
            if default and not self.source.is_text(last + 1, ".", "(", "=", "[", "+="):
                yield "option", index, last, default

    def _loop_heads(self):
        inside = set()
        for index, token in enumerate(self.tokens):
            if token.text in ("for", "while") and self.source.is_text(index + 1, "("):
                inside.update(range(index + 1, self.tokens[index + 1].partner + 1))
        return inside

    def _is_pure_virtual(self, index):
        return self.source.is_text(index - 1, "=") and self.source.is_text(index - 2, ")", "const", "override", "noexcept")

    def _at_depth(self, first, end):
        """Yields the indices from `first` to before `end` that are inside no further brackets."""
        at = first
        while at < end:
            yield at
            at = max(self.tokens[at].partner, at) + 1

    def _begins_statement(self, index):
        before = self.tokens[index - 1] if index else None
        if before is None or before.kind != "mark":
            return before is not None and before.text in ("else", "do")
        if before.text == ")":  # this is the bracket of an if, for or while
            head = before.partner - 1
            return self.source.is_text(head, "if", "for", "while") or self.source.is_text(head, "constexpr")
        return before.text in (";", "{", "}")

    def _is_plain(self, index, end):
        """Whether the statement is a call, an assignment, ++x or --x, and not a declaration."""
        if self.source.is_text(index, "++", "--"):
            return True
        if self.source.is_text(index, "*"):
            index += 1
        if self.tokens[index].kind != "name" or self.tokens[index].text in KEYWORDS:
            return False
        called = False
        at = index + 1
        while at < end:
            token = self.tokens[at]
            if token.text in ("::", ".", "->"):
                at += 2
            elif token.text in ("(", "["):
                called = called or token.text == "("
                at = token.partner + 1
            elif token.text == "<" and not token.spaced:
                while at < end and not self.source.is_text(at, ">"):
                    at += 1
                if not self.source.is_text(at + 1, "("):
                    return False
                at += 1
            else:
                return token.text in ("=", "++", "--", *ASSIGNMENTS, "<<=", ">>=", "^=", "%=")
        return called


def option_defaults(header):
    """Returns the defaults of the members in configs/run_config.h by 'section.member', and by 'member' where all structs have the same value."""
    typed = {"int64_t": "int64_t{{{}}}", "double": "double{{{}}}", "bool": "{}", "std::string": "std::string({})"}
    sections, members = {}, {}
    struct = ""
    for line in header.splitlines():
        if match := re.match(r"\s*struct (\w+)", line):
            struct = re.sub(r"(?<!^)(?=[A-Z])", "_", match[1]).lower()
        elif match := re.match(r"\s*(int64_t|double|bool|std::string) (\w+)(?: = ([^;]+))?;", line):
            zero = {"std::string": '""', "bool": "false"}.get(match[1], "0")
            text = typed[match[1]].format(match[3] or zero)
            sections[f"{struct}.{match[2]}"] = text
            members.setdefault(match[2], set()).add(text)
    return {**sections, **{name: texts.copy().pop() for name, texts in members.items() if len(texts) == 1}}
