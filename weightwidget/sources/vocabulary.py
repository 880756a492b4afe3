"""The strings of tokens: read, searched, and matched by patterns."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from functools import cached_property

from weightwidget.sources.tokentext import SPACE, readable


class Vocabulary:
    """The string of each token.

    Parameters
    ----------
    tokens
        Strings by number; None for numbers without a token.
    origin
        Where they come from, for a person: ``"tokenizer.json"``.
    byte_level
        Whether strings are written in the alphabet of byte-level BPE (GPT-2's, where a space is Ġ). None looks at
        them.
    """

    def __init__(self, tokens: Sequence[str | None], origin: str = "", byte_level: bool | None = None) -> None:
        self._tokens = tokens
        self.origin = origin
        self._given = byte_level

    def __len__(self) -> int:
        return len(self._tokens)

    @cached_property
    def byte_level(self) -> bool:
        """Whether the strings are written in the alphabet of byte-level BPE."""
        if self._given is not None:
            return self._given
        first = [token for token in self._tokens[:20_000] if token]
        spaced = sum(token[0] == "Ġ" for token in first)
        return spaced >= 8 and spaced > 0.02 * len(first)

    def raw(self, number: int) -> str | None:
        """The token as the tokenizer spells it; None if there is none of that number."""
        return self._tokens[number] if 0 <= number < len(self._tokens) else None

    def text(self, number: int) -> str | None:
        """The token as a person reads it: bytes decoded, spaces at the ends as ␣, control characters as escapes."""
        raw = self.raw(number)
        return None if raw is None else readable(raw, self.byte_level)

    def find(self, text: str, limit: int = 50) -> tuple[list[int], int]:
        """Find tokens by a part of their text, whole ones first, then those that begin with it; case is ignored.

        Parameters
        ----------
        text
            Compared with the text as it is shown and as the tokenizer spells it. A space matches ␣.
        limit
            How many at most.

        Returns
        -------
        tuple of list of int and int
            The first ones, and how many there are in all.
        """
        wanted = text.casefold()
        if not wanted:
            return [], 0
        ranked: list[tuple[int, int, int]] = []
        for number, (raw, shown) in enumerate(self._folded):
            if wanted in raw or wanted in shown:
                bare = shown.strip(" ")
                rank = 0 if wanted in (raw, shown, bare) else 1 if bare.startswith(wanted) else 2
                ranked.append((rank, len(raw), number))
        ranked.sort()
        return [number for _, _, number in ranked[: max(0, limit)]], len(ranked)

    def matching(self, pattern: str) -> list[int]:
        """Tokens whose spelling matches a pattern, in which only ``*`` and ``?`` are special: ``[unused*]``."""
        # fnmatch's expressions take no exponential time; without its classes, which are how tokens are written.
        fits = re.compile(fnmatch.translate(pattern.replace("[", "[[]"))).match
        return [number for number, token in enumerate(self._tokens) if token is not None and fits(token)]

    @cached_property
    def _folded(self) -> list[tuple[str, str]]:
        """Each token as it is spelt and as it is shown, without case."""
        byte_level = self.byte_level
        return [
            ("", "") if raw is None else (raw.casefold(), readable(raw, byte_level).replace(SPACE, " ").casefold())
            for raw in self._tokens
        ]


_PARTS = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"(?=\s*(?:,|$))|([^,]+))""")
"""What stands between commas, in double quotes or without."""


def resolve(text: str, count: int, vocabulary: Vocabulary | None) -> list[int]:
    """Numbers of the entries that a person names: ``"[unused*], 73, 100-120"``.

    Parameters
    ----------
    text
        Numbers, ranges of numbers with both ends included, and patterns of tokens with ``*`` and ``?``, divided by
        commas. In double quotes a number or a comma is a token, too.
    count
        Entries there are.
    vocabulary
        Their strings; None where only numbers are known.

    Returns
    -------
    list of int
        In ascending order, each once.

    Raises
    ------
    ValueError
        If a number is too large, nothing matches a pattern, or there are patterns but no strings.
    """
    found: set[int] = set()
    for quoted, plain in _PARTS.findall(text):
        part = plain.strip() if plain else re.sub(r"\\(.)", r"\1", quoted)
        if not part:
            continue
        numbers = re.fullmatch(r"(\d{1,12})(?:\s*[-–…]\s*(\d{1,12}))?", part) if plain else None
        if numbers:
            first = int(numbers[1])
            last = int(numbers[2]) if numbers[2] else first
            if not first <= last < count:
                raise ValueError(f"{part!r}: entries are numbered 0 to {count - 1}")
            found.update(range(first, last + 1))
            continue
        if vocabulary is None:
            raise ValueError(f"{part!r} is no number, and no strings are known: give the explorer a tokenizer")
        matches = [number for number in vocabulary.matching(part) if number < count]
        if not matches:
            raise ValueError(f"no token matches {part!r}")
        found.update(matches)
    return sorted(found)
