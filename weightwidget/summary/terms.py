"""Text of a query to terms: quotes, spaces, and spaces around operators. Mirrors `js/src/query/terms.ts`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from weightwidget.summary.glob import fold
from weightwidget.summary.table import STATISTICS

OPERATOR = "<=|>=|!=|==|=|<|>|≤|≥|≠"
"""Regular expression of the operators between a statistic and a number."""

_SPACE = " \t\n\r\v\f\u00a0"
_LONE_KEY = re.compile(r"[-!]*([a-z_][a-z0-9_]*)")
_STARTS_OPERATOR = re.compile(f"(?:{OPERATOR})")
_ENDS_OPERATOR = re.compile(rf"[-!]*([a-z_][a-z0-9_]*)(?:{OPERATOR})")
_STARTS_NUMBER = re.compile(r"[-+−]?\.?[0-9]")


@dataclass(frozen=True)
class Term:
    """A term, folded to lower case.

    Attributes
    ----------
    raw
        As it was written.
    text
        Without its quotes.
    mask
        The same with NUL for every character that was quoted: what is an operator here, is meant as one.
    closed
        Whether its last quote is closed.
    """

    raw: str
    text: str
    mask: str
    closed: bool = True

    def cut(self, start: int, stop: int | None = None) -> Term:
        """Give the part from `start` to `stop`."""
        return Term(self.raw, self.text[start:stop], self.mask[start:stop])

    def split(self, separator: str) -> list[Term]:
        """Split at a separator that is not quoted."""
        parts, start = [], 0
        while (at := self.mask.find(separator, start)) >= 0:
            parts.append(self.cut(start, at))
            start = at + len(separator)
        return [*parts, self.cut(start)]

    def glued(self, other: Term) -> Term:
        """Join two terms into one."""
        return Term(f"{self.raw} {other.raw}", self.text + other.text, self.mask + other.mask, other.closed)


def terms_of(query: str) -> list[Term]:
    """Split a query into its terms."""
    return _glue(_split(query))


def is_number_key(key: str) -> bool:
    """Tell whether a key is compared with numbers."""
    return key == "ndim" or key in STATISTICS


def _split(query: str) -> list[Term]:
    terms: list[Term] = []
    raw = text = mask = ""
    quoted = escaped = False
    for char in [*query, " "]:
        if not quoted and char in _SPACE:
            if raw:
                terms.append(Term(raw, text, mask))
            raw = text = mask = ""
            continue
        raw += char
        if quoted and not escaped and char == "\\":
            escaped = True
        elif char == '"' and not escaped:
            quoted = not quoted
        else:
            folded = fold(char)
            text += folded
            mask += "\0" * len(folded) if quoted else folded
            escaped = False
    if raw:  # the last quote is still open; the space that ends the text was taken into it
        terms.append(Term(raw[:-1], text, mask, closed=False))
    return terms


def _glue(terms: list[Term]) -> list[Term]:
    """Join what was written with spaces around the operator: ``std > 0.1``."""
    out: list[Term] = []
    for term in terms:
        before = out[-1] if out else None
        if before is not None and before.closed:
            key = _LONE_KEY.fullmatch(before.mask)
            if key and is_number_key(key[1]) and _STARTS_OPERATOR.match(term.mask):
                out[-1] = before.glued(term)
                continue
            key = _ENDS_OPERATOR.fullmatch(before.mask)
            if key and is_number_key(key[1]) and _STARTS_NUMBER.match(term.mask):
                out[-1] = before.glued(term)
                continue
        out.append(term)
    return out
