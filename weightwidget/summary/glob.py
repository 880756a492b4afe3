"""Patterns over text as a shell has them: ``*``, ``?``, ``[abc]``, ``[a-c]``, ``[!abc]``.

Own rather than `fnmatch` so that the front end (`js/src/query/glob.ts`) does exactly the same, and because
quoted characters stand for themselves. No pattern takes exponential time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


def fold(text: str) -> str:
    """Turn to lower case, character by character.

    The final sigma, which depends on its neighbours, becomes as the other one.
    """
    return text.lower().replace("ς", "σ")


@dataclass(frozen=True)
class Glob:
    """A compiled pattern: a regular expression, or a literal where there are no wildcards.

    Attributes
    ----------
    literal
        The text to find.
    whole
        Whether a literal must be the whole text; a pattern always must.
    regex
        For patterns with wildcards.
    """

    literal: str
    whole: bool
    regex: re.Pattern[str] | None

    def matches(self, text: str) -> bool:
        """Whether a folded text fits."""
        if self.regex is not None:
            return self.regex.fullmatch(text) is not None
        return text == self.literal if self.whole else self.literal in text


def compile_glob(text: str, mask: str, whole: bool) -> Glob:
    """Compile a folded pattern.

    Parameters
    ----------
    text
        The pattern.
    mask
        The same with NUL in the place of characters that stand for themselves.
    whole
        Whether a pattern without wildcards must be the whole text or may be found inside it.
    """
    # Parts between stars. Each part after the first is matched at its first place and never tried again at
    # another: enough for a star, and the time stays within length of pattern times length of text.
    parts = [""]
    live = False
    at = 0
    while at < len(text):
        char = mask[at]
        stop = _class_end(mask, at) if char == "[" else -1
        if char == "*":
            parts.append("")
            live = True
        elif char == "?":
            parts[-1] += "."
            live = True
        elif stop > 0:
            parts[-1] += _class(text[at + 1 : stop])
            live = True
            at = stop
        else:
            parts[-1] += re.escape(text[at])
        at += 1
    if not live:
        return Glob(text, whole, None)
    if len(parts) == 1:
        return Glob(text, whole, re.compile(parts[0], re.DOTALL))
    first, *middle, last = parts
    inner = "".join(f"(?=(?P<p{n}>.*?{part}))(?P=p{n})" for n, part in enumerate(filter(None, middle)))
    return Glob(text, whole, re.compile(f"{first}{inner}.*{last}", re.DOTALL))


def _class_end(mask: str, start: int) -> int:
    """Find the bracket that closes the class opened at `start`; -1 if it is an ordinary bracket."""
    at = start + 1
    if mask[at : at + 1] == "!":
        at += 1
    return mask.find("]", at + 1)


def _class(body: str) -> str:
    negated = body.startswith("!")
    if negated:
        body = body[1:]
    out = ""
    at = 0
    while at < len(body):
        low = high = body[at]
        if at + 2 < len(body) and body[at + 1] == "-":
            high = body[at + 2]
            at += 2
        at += 1
        if low <= high:
            out += f"{_code(low)}-{_code(high)}"
    if not out:
        return "." if negated else "(?!)"
    return f"[{'^' if negated else ''}{out}]"


def _code(char: str) -> str:
    return f"\\U{ord(char):08x}"
