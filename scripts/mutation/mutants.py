"""Makes and draws the mutants of a commit.

The identity of a mutant depends on the text of its line and its place among equal lines, not on the line's number. The draw ranks lines by
a hash of (seed, file, line). So a seed draws the same mutants again after other lines have changed, and a larger count draws the same ones
and more.
"""

import difflib
import hashlib
import random
from collections import Counter
from dataclasses import asdict, dataclass

from .operators import Change, Operators
from .source import Source

# Warnings are errors in this project, and many mutants cause one. A warning does not mean that a mutant cannot be built.
QUIETED = (
    "unused-variable unused-const-variable unused-local-typedefs unused-parameter unused-but-set-parameter unused-but-set-variable "
    "unused-function unused-value unused-result empty-body type-limits tautological-compare div-by-zero maybe-uninitialized "
    "uninitialized array-bounds stringop-overflow stringop-overread parentheses dangling-else switch implicit-fallthrough "
    "sign-compare bool-compare int-in-bool-context nonnull address logical-op bool-operation shift-count-negative "
    "shift-count-overflow overflow aggressive-loop-optimizations missing-field-initializers restrict free-nonheap-object "
    "return-local-addr infinite-recursion"
)
QUIET = "".join(f'#pragma GCC diagnostic ignored "-W{name}"\n' for name in QUIETED.split())


@dataclass(frozen=True)
class Mutant:
    id: str
    file: str
    line: int
    operator: str
    diff: str
    text: str  # the whole file, changed

    def record(self):
        return {key: value for key, value in asdict(self).items() if key != "text"}

    def quiet_text(self):
        """Returns the text that is compiled: without warnings, and with the line numbers of the original."""
        return f"{QUIET}#line 1\n{self.text}"


def digest(*parts):
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()


def apply(text, change: Change):
    return text[: change.start] + change.text + text[change.end :]


def diff_of(file, text, changed):
    lines = difflib.unified_diff(text.splitlines(), changed.splitlines(), f"a/{file}", f"b/{file}", n=2, lineterm="")
    return "\n".join(lines)


def lines_of(file, text, defaults):
    """Yields (key of the line, its changes) for each line of a file that holds something to change."""
    by_line, seen = {}, Counter()
    for change in Operators(Source(text), defaults).changes():
        by_line.setdefault(change.line, []).append(change)
    for number, content in enumerate(text.splitlines(), 1):
        content = content.strip()
        seen[content] += 1
        if number in by_line:
            yield (file, content, seen[content]), by_line[number]


def make(key, change: Change, text):
    file, content, occurrence = key
    changed = apply(text, change)
    column = change.start - text.rfind("\n", 0, change.start)
    identity = digest(file, content, occurrence, change.operator, column, change.text)[:12]
    return Mutant(identity, file, change.line, change.operator, diff_of(file, text, changed), changed)


def draw(texts, count, seed, defaults=None):
    """Draws `count` mutants of `texts` (contents by file): uniform over the lines, then over the operators that apply to the line, then over
    their places. No line is drawn twice. `defaults` is as for Operators."""
    ranked = sorted(
        ((digest(seed, *key), key, changes) for file, text in texts.items() for key, changes in lines_of(file, text, defaults)),
        key=lambda entry: entry[0],
    )
    drawn = []
    for rank, key, changes in ranked[:count]:
        chance = random.Random(rank)
        operator = chance.choice(sorted({change.operator for change in changes}))
        place = chance.choice([change for change in changes if change.operator == operator])
        drawn.append(make(key, place, texts[key[0]]))
    return drawn
